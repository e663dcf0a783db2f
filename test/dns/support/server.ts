import type { Tracker } from '../../../endpoints/tracker.ts';
import type { OpenDatagramEngine } from '../../../dns/server/datagram-engine.ts';
import { zoneCounts } from '../../../dns/cluster/table/answer-counts.ts';
import { DnsServer, type DnsServerOptions } from '../../../dns/server/dns-server.ts';
import type { OpenStreamEngine } from '../../../dns/server/stream-engine.ts';
import { decodeMessage } from '../../../dns/wire/decode.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage, type Message } from '../../../dns/wire/message.ts';
import { parseType, type RecordType } from '../../../dns/wire/numbers.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { createLogger, type LogRecord } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { clusterOf } from './cluster.ts';

export interface TestServer extends AsyncDisposable {
  readonly server: DnsServer;
  readonly logs: readonly LogRecord[];
  readonly metrics: Registry;
  readonly udp: { readonly address: string; readonly port: number };
}

export interface TestServerOptions extends Partial<DnsServerOptions> {
  readonly cluster?: Tracker;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly openDatagram?: OpenDatagramEngine;
  readonly openStream?: OpenStreamEngine;
}

/** A real server on free ports of 127.0.0.1. */
export async function openServer(corefile: string, options: TestServerOptions = {}): Promise<TestServer> {
  const logs: LogRecord[] = [];
  const metrics = new Registry();
  const { cluster = clusterOf([]), clock = systemClock, random = () => 0.5, ...given } = options;
  const { openDatagram, openStream, ...rest } = given;
  const server = await DnsServer.open(
    {
      snapshots: cluster,
      clock,
      random,
      metrics,
      log: createLogger((line) => logs.push(line), 'debug'),
      ...(openDatagram && { openDatagram }),
      ...(openStream && { openStream }),
    },
    { corefile: { text: corefile }, dnsPort: 0, defaultBind: ['127.0.0.1'], drainMs: 200, ...rest },
  );
  const udp = server.addresses.find(({ transport }) => transport === 'udp');
  return {
    server,
    logs,
    metrics,
    udp: udp ?? { address: '127.0.0.1', port: 0 },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** What the table's readers have answered, all listeners and zones together. */
export function fastTotals({ server }: TestServer): {
  readonly positive: number;
  readonly nodata: number;
  readonly nxdomain: number;
} {
  const total = { positive: 0, nodata: 0, nxdomain: 0 };
  for (const sample of server.fastCounts()) {
    const words = sample.words();
    for (const i of sample.zones.keys()) {
      const counts = zoneCounts(words, i);
      for (const verdict of ['positive', 'nodata', 'nxdomain'] as const) total[verdict] += counts[verdict];
    }
  }
  return total;
}

export interface AskOptions extends Partial<Message> {
  readonly client?: string;
  readonly transport?: 'udp' | 'tcp';
}

/** Asks in-process, through decoder, blocks, chain and encoder. `what` is `name TYPE`. */
export async function ask(on: TestServer, what: string, options: AskOptions = {}): Promise<Message> {
  const [reply] = await askAll(on, what, options);
  if (!reply) throw new Error(`no answer to ${what}`);
  return reply;
}

/** Every message that came back; none for a dropped question. */
export async function askAll(on: TestServer, what: string, options: AskOptions = {}): Promise<Message[]> {
  const { client = '192.0.2.250', transport = 'udp', ...parts } = options;
  const request = questionOf(what, parts);
  const replies: Uint8Array[] = [];
  await new Promise<void>((resolve) => {
    const arrival = {
      transport,
      client: { address: client, port: 40_000 },
      server: { address: '127.0.0.1', port: 53 },
      signal: new AbortController().signal,
    };
    on.server.answer(encodeMessage(request), arrival, (bytes) => replies.push(bytes), resolve);
  });
  return replies.map(decoded);
}

export function questionOf(what: string, parts: Partial<Message> = {}): Message {
  const [name, type = 'A'] = what.split(' ');
  return queryMessage(
    { name: name!, type: parseType(type) as RecordType, class: 'IN' },
    { id: 4711, ...parts },
  );
}

export function decoded(bytes: Uint8Array): Message {
  const result = decodeMessage(bytes);
  if (!result.ok) throw new Error(`cannot decode: ${result.reason}`);
  return result.message;
}

/** The answer section as sorted zone text. */
export function answers(message: Message): string[] {
  return message.answers.map(formatRecord).sort();
}
