import { explanationText } from '../../../ingress/explain/explanation.ts';
import { readQuestion } from '../../../ingress/explain/question.ts';
import { familyOf } from '../../net/ip.ts';
import { INGRESS_CONTROLLER } from '../../node/ingress/ingress-class.ts';
import { asksUp } from '../api-access.ts';
import { type CliContext, EXIT_USAGE, ExitError } from '../context.ts';
import { type IngressObjectFlags, NGINX_CLASS } from '../ingress/flags.ts';
import { loadIngress } from '../ingress/still.ts';

interface AskedUrl {
  readonly url: string;
  /** Address of the client; undefined = this host. */
  readonly client: string | undefined;
  readonly json: boolean;
  readonly strict: boolean;
}

export function isWebUrl(text: string): boolean {
  return /^(https?|wss?):\/\//i.test(text);
}

/** `weft trace --to URL`: what the ingress would do with a GET. */
export async function traceUrl(
  context: CliContext,
  asked: AskedUrl,
  { from, kubeconfig }: { from: readonly string[]; kubeconfig: string | undefined },
): Promise<void> {
  const client = asked.client !== undefined && familyOf(asked.client) ? { clientIp: asked.client } : {};
  const question = readQuestion({ url: asked.url, ...client });
  if (typeof question === 'string') throw new ExitError(EXIT_USAGE, question);
  using loaded = await loadIngress(context, {
    ...classFlags(context, from, kubeconfig),
    ...(from.length > 0 && { from }),
    ...(kubeconfig !== undefined && { kubeconfig }),
    strict: asked.strict,
  });
  const explanation = await loaded.still.explain(question);
  context.stdout.write(
    asked.json ? `${JSON.stringify(explanation, undefined, 2)}\n` : `${explanationText(explanation)}\n`,
  );
}

/** The classes of whom we ask: `weft up` has its own, everybody else ingress-nginx's. */
function classFlags(
  { env }: CliContext,
  from: readonly string[],
  kubeconfig: string | undefined,
): Pick<IngressObjectFlags, 'ingressClass' | 'controllerClass' | 'watchIngressWithoutClass'> {
  if (from.length > 0 || !asksUp(env, kubeconfig)) return NGINX_CLASS;
  return {
    ingressClass: 'weft',
    controllerClass: INGRESS_CONTROLLER,
    watchIngressWithoutClass: true,
  };
}
