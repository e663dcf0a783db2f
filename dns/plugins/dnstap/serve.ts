import type { Plugin, PluginDeps, SentReply, UpstreamExchange } from '../../plugin.ts';
import { sharedCounter } from '../../plugin-metrics.ts';
import { encodeMessage } from '../../wire/encode.ts';
import { lineFormat } from '../log/format.ts';
import { summaryOf } from '../log/summary.ts';
import { DnstapListener, type ListenerOptions } from './listener.ts';
import { dnstapPayload, type PayloadOptions, type TapMessage } from './payload.ts';
import { DnstapSender, type SenderOptions } from './sender.ts';

export interface DnstapOptions extends PayloadOptions {
  /** With `{labels}` of the log format. */
  readonly extra: string;
  /** We go to the receiver, or it comes to us. */
  readonly way: { readonly send: SenderOptions } | { readonly listen: ListenerOptions };
}

/** Tells receivers of every question and answer, and of those to and from other servers (`forward`). */
export async function openDnstap(deps: PluginDeps, options: DnstapOptions): Promise<Plugin> {
  const dropped = sharedCounter(deps, {
    name: 'weft_dns_dnstap_dropped_total',
    help: 'dnstap messages that a receiver did not take in time.',
    labelNames: ['server'],
  });
  const onDrop = (): void => dropped.inc({ server: deps.listener });
  const out = await openOutput(deps, options.way, onDrop);
  const format = lineFormat(options.extra);
  const tell = (messages: readonly TapMessage[], about: SentReply): void => {
    const extra = options.extra === '' ? '' : format(summaryOf(about), about.query);
    for (const message of messages) out.send(dnstapPayload(message, extra, options));
  };
  return {
    name: 'dnstap',
    // Every question must be seen: the table would answer past us.
    transparent: false,
    serve: (query, next) => next(query),
    observe: (sent) => tell(clientMessages(sent, deps.clock.nowMs()), sent),
    observeUpstream: (exchange) =>
      tell(forwarderMessages(exchange, deps.clock.nowMs()), questionOf(exchange)),
    [Symbol.asyncDispose]: () => out[Symbol.asyncDispose](),
  };
}

interface Output {
  send(payload: Uint8Array): void;
  [Symbol.asyncDispose](): Promise<void>;
}

async function openOutput(deps: PluginDeps, way: DnstapOptions['way'], onDrop: () => void): Promise<Output> {
  if ('send' in way) return new DnstapSender(deps, way.send, onDrop);
  // Shared: a reload keeps the port, and receivers their connections.
  const key = `dnstap ${JSON.stringify(way.listen)}`;
  const listener = deps.host.shared(key, () => new DnstapListener(deps, way.listen, onDrop));
  await listener.opened();
  return { send: (payload) => listener.send(payload), [Symbol.asyncDispose]: async () => {} };
}

function clientMessages(sent: SentReply, nowMs: number): TapMessage[] {
  const { query, requestBytes, replyBytes, durationMs } = sent;
  const both = {
    protocol: query.transport,
    asker: query.client,
    answerer: query.server,
    queryMs: nowMs - durationMs,
    zone: query.zone,
  };
  const asked: TapMessage = { ...both, kind: 'CLIENT_QUERY', bytes: () => requestBytes };
  if (!replyBytes) return [asked];
  return [asked, { ...both, kind: 'CLIENT_RESPONSE', responseMs: nowMs, bytes: () => replyBytes }];
}

function forwarderMessages(exchange: UpstreamExchange, nowMs: number): TapMessage[] {
  const { query, protocol, local, upstream, requestBytes, reply, durationMs } = exchange;
  const both = {
    protocol,
    asker: local,
    answerer: upstream,
    queryMs: nowMs - durationMs,
    zone: query.zone,
  };
  const asked: TapMessage = { ...both, kind: 'FORWARDER_QUERY', bytes: () => requestBytes };
  if (!reply) return [asked];
  const bytes = (): Uint8Array => encodeMessage(reply);
  return [asked, { ...both, kind: 'FORWARDER_RESPONSE', responseMs: nowMs, bytes }];
}

/** For the labels of `extra`: there is no answer to the client yet. */
function questionOf({ query, requestBytes, durationMs }: UpstreamExchange): SentReply {
  const outcome = { kind: 'drop', reason: 'not answered yet' } as const;
  return { query, requestBytes, outcome, reply: undefined, replyBytes: undefined, durationMs };
}
