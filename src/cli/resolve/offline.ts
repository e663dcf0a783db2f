import { DnsServer } from '../../../dns/server/dns-server.ts';
import { decodeMessage } from '../../../dns/wire/decode.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage, type Message } from '../../../dns/wire/message.ts';
import type { RecordType } from '../../../dns/wire/numbers.ts';
import { Tracker } from '../../../endpoints/tracker.ts';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import { Registry } from '../../base/metrics.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';
import { openDnsSource } from '../dns/source.ts';
import type { Asker } from './ask.ts';

export interface OfflineOptions {
  readonly from: readonly string[];
  readonly clusterDomain: string;
  readonly strict?: boolean;
}

const SELF = { address: '127.0.0.1', port: 0 } as const;

/** Answers in-process from manifests, with the chain that serves them on the wire. */
export async function openOfflineAsker(context: CliContext, options: OfflineOptions): Promise<Asker> {
  const stack = new AsyncDisposableStack();
  const metrics = new Registry();
  const tracker = new Tracker({ log: context.log, metrics }, { pods: false });
  const { from } = options;
  try {
    stack.use(
      await openDnsSource(context, {
        sink: tracker,
        from,
        kubeconfig: undefined,
        needs: [],
        follow: false,
        metrics,
      }),
    );
    tracker.flush();
    const zones = `${options.clusterDomain} in-addr.arpa ip6.arpa`;
    const text = `${zones} {\n kubernetes ${zones} {\n pods insecure\n }\n}\n`;
    const deps = { snapshots: tracker, clock: systemClock, log: context.log, metrics, random: Math.random };
    const server = stack.use(
      await DnsServer.open(deps, {
        corefile: { text, name: `--cluster-domain ${options.clusterDomain}` },
        dnsPort: 0,
        defaultBind: [SELF.address],
        strict: options.strict ?? false,
      }),
    );
    return {
      label: from.join(', '),
      ask: (name, type) => ask(server, name, type, context.stop),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error instanceof ExitError ? error : new ExitError(EXIT_USAGE, messageOf(error));
  }
}

async function ask(server: DnsServer, name: string, type: RecordType, signal: AbortSignal): Promise<Message> {
  const edns = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };
  const request = encodeMessage(queryMessage({ name, type, class: 'IN' }, { edns }));
  const bytes = await new Promise<Uint8Array>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    server.answer(request, { transport: 'tcp', client: SELF, server: SELF, signal }, resolve);
  });
  const decoded = decodeMessage(bytes);
  if (decoded.ok) return decoded.message;
  throw new ExitError(EXIT_FAILURE, `${name}: ${decoded.reason}`);
}
