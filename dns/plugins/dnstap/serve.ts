import type { Plugin, PluginDeps, SentReply } from '../../plugin.ts';
import { sharedCounter } from '../../plugin-metrics.ts';
import { formatLine } from '../log/format.ts';
import { dnstapPayload, type PayloadOptions } from './payload.ts';
import { DnstapSender, type SenderOptions } from './sender.ts';

export interface DnstapOptions extends SenderOptions, PayloadOptions {
  /** With `{labels}` of the log format. */
  readonly extra: string;
}

/** Tells a receiver of every question and answer. */
export function openDnstap(deps: PluginDeps, options: DnstapOptions): Plugin {
  const { clock } = deps;
  const dropped = sharedCounter(deps, {
    name: 'weft_dns_dnstap_dropped_total',
    help: 'dnstap messages that the receiver did not take in time.',
    labelNames: ['server'],
  });
  const sender = new DnstapSender(deps, options, () => dropped.inc({ server: deps.listener }));
  const observe = (sent: SentReply): void => {
    const responseMs = clock.nowMs();
    const times = { queryMs: responseMs - sent.durationMs, responseMs };
    const extra = options.extra === '' ? '' : formatLine(options.extra, sent);
    sender.send(dnstapPayload('query', sent, times, extra, options));
    if (sent.replyBytes) sender.send(dnstapPayload('response', sent, times, extra, options));
  };
  return {
    name: 'dnstap',
    // Every question must be seen: the table would answer past us.
    transparent: false,
    serve: (query, next) => next(query),
    observe,
    [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose](),
  };
}
