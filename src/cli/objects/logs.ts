import { objectPath } from '../../api/client/paths.ts';
import { resources } from '../../api/client/resources.ts';
import { messageOf } from '../../base/fault.ts';
import type { HttpResponse } from '../../net/http-exchange.ts';
import { type ApiAccess, connect } from '../api-access.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';
import { logPod } from './log-pod.ts';

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
    .argument('<pod>', 'a pod, or what selects pods: deployment/NAME, svc/NAME, job/NAME')
    .option('-c, --container <name>', 'container (default: the first one)')
    .option('-f, --follow', 'go on until the container ends')
    .option('-p, --previous', 'the run before the present one')
    .option('--tail <lines>', 'only this many lines from the end')
    .option('--since <duration>', 'only what is younger, for example 90s, 5m or 1h')
    .option('--timestamps', 'put the time before each line')
    .option('-n, --namespace <name>', 'namespace (default: the one of the kubeconfig)')
    .option('--kubeconfig <file>', 'how to reach the API (default: $KUBECONFIG, then what `weft up` wrote)')
    .addHelpText(
      'after',
      '\nExamples:\n  weft logs -n shop cart-0\n  weft logs -n shop cart-0 -f --tail 20\n  weft logs -n shop cart-0 --previous\n' +
        '  weft logs -n shop deployment/front\n',
    )
    .action(async (wanted: string, flags: LogFlags) => {
      logQuery(flags); // typing errors before anything is asked
      await using access = await connect(context, flags.kubeconfig);
      const namespace = flags.namespace ?? access.namespace;
      const chosen = await logPod(access.client, wanted, flags.container, namespace, context.stop);
      for (const note of chosen.notes) context.stderr.write(`${note}\n`);
      const query = logQuery({ ...flags, ...(chosen.container && { container: chosen.container }) });
      await printLog(access, context, objectPath(resources.pods, chosen.pod, namespace, 'log') + query);
    });
};

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
