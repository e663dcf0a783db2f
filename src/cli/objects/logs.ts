import { objectPath } from '../../api/client/paths.ts';
import { resources } from '../../api/client/resources.ts';
import { messageOf } from '../../base/fault.ts';
import type { HttpResponse } from '../../net/http-exchange.ts';
import { type ApiAccess, connect } from '../api-access.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';

interface LogFlags {
  readonly kubeconfig?: string;
  readonly namespace?: string;
  readonly container?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly timestamps?: boolean;
  readonly tail?: string;
  readonly since?: string;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** `weft logs`: the log subresource of a pod, of any Kubernetes API. */
export const register: RegisterCommand = (program, context) => {
  program
    .command('logs')
    .description('print what a container wrote')
    .argument('<pod>')
    .option('-c, --container <name>', 'container (default: the only one)')
    .option('-f, --follow', 'go on until the container ends')
    .option('-p, --previous', 'the run before the present one')
    .option('--tail <lines>', 'only this many lines from the end')
    .option('--since <duration>', 'only what is younger, for example 90s, 5m or 1h')
    .option('--timestamps', 'put the time before each line')
    .option('-n, --namespace <name>', 'namespace (default: the one of the kubeconfig)')
    .option('--kubeconfig <file>', 'how to reach the API (default: $KUBECONFIG, then what `weft up` wrote)')
    .addHelpText(
      'after',
      '\nExamples:\n  weft logs -n shop cart-0\n  weft logs -n shop cart-0 -f --tail 20\n  weft logs -n shop cart-0 --previous\n',
    )
    .action(async (pod: string, flags: LogFlags) => {
      const query = logQuery(flags);
      await using access = await connect(context, flags.kubeconfig);
      await printLog(
        access,
        context,
        objectPath(resources.pods, podName(pod), flags.namespace ?? access.namespace, 'log') + query,
      );
    });
};

/** A pod as people type it: NAME, or pod/NAME as `weft get -o name` prints it. Throws ExitError 64 for other kinds. */
export function podName(text: string): string {
  const [name = '', kind = 'pod', ...rest] = text.split('/').toReversed();
  if (/^(po|pods?)$/.test(kind) && name !== '' && rest.length === 0) return name;
  throw new ExitError(EXIT_USAGE, `${text}: name a pod, as \`weft get pods\` lists them`);
}

/** The query string of the log subresource. Throws ExitError 64 for a flag that is no number or duration. */
export function logQuery(flags: LogFlags): string {
  const query = new URLSearchParams();
  if (flags.container) query.set('container', flags.container);
  for (const name of ['follow', 'previous', 'timestamps'] as const) if (flags[name]) query.set(name, 'true');
  if (flags.tail !== undefined) {
    if (!/^\d{1,9}$/.test(flags.tail))
      throw new ExitError(EXIT_USAGE, `--tail ${flags.tail}: must be a number of lines`);
    query.set('tailLines', flags.tail);
  }
  if (flags.since !== undefined) {
    const match = /^(\d{1,9})([smh])$/.exec(flags.since);
    if (!match) throw new ExitError(EXIT_USAGE, `--since ${flags.since}: must be like 90s, 5m or 1h`);
    query.set('sinceSeconds', String(Number(match[1]) * (SECONDS[match[2] ?? ''] ?? 1)));
  }
  const text = query.toString();
  return text ? `?${text}` : '';
}

async function printLog(access: ApiAccess, context: CliContext, target: string): Promise<void> {
  const decoder = new TextDecoder();
  try {
    const response = await access.exchange({ method: 'GET', target, headers: {} }, context.stop);
    if (response.status !== 200) throw new ExitError(EXIT_FAILURE, await failureOf(response));
    for await (const chunk of response.body) context.stdout.write(decoder.decode(chunk, { stream: true }));
  } catch (error) {
    if (context.stop.aborted) return; // Ctrl-C ends --follow: nothing went wrong
    throw error instanceof ExitError ? error : new ExitError(EXIT_FAILURE, messageOf(error));
  }
}

/** The message of the Status the server replied with, else the HTTP code. */
async function failureOf(response: HttpResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  try {
    const { message } = JSON.parse(text) as { message?: string };
    if (message) return message;
  } catch {
    // not a Status: some proxy's own page
  }
  return `the server replied with HTTP ${response.status}`;
}
