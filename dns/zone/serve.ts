import { type Fallthrough, fallsThrough } from '../fallthrough.ts';
import type { PluginDeps } from '../plugin.ts';
import { failure, type ExtendedError, type Handler, type Outcome, type Query } from '../query.ts';
import { replyTo, type Message } from '../wire/message.ts';
import { isWithin } from '../wire/name.ts';
import { EDE } from '../wire/numbers.ts';
import { lookUpZone } from './look-up.ts';
import type { ZoneData } from './zone-data.ts';

export interface ServeZoneOptions {
  readonly fallthrough: Fallthrough;
}

/** Answers a question from the zone that holds it; aliases that lead out of it are asked of the whole server. */
export function serveZone(
  deps: PluginDeps,
  zone: ZoneData,
  query: Query,
  next: Handler,
  { fallthrough }: ServeZoneOptions,
): Outcome | Promise<Outcome> {
  const { type, class: asked } = query.question;
  if (asked !== 'IN') return failure('REFUSED', `class ${asked}`);
  if (type === 'AXFR' || type === 'IXFR') return failure('REFUSED', 'transfers need the plugin transfer');
  const dnssec = query.request.edns?.dnssecOk ?? false;
  const { outside, ...answer } = lookUpZone(zone, query.question, {
    dnssec,
    brief: query.transport === 'udp',
  });
  if (answer.rcode === 'NXDOMAIN' && answer.answers.length === 0 && fallsThrough(fallthrough, query.name)) {
    return next(query);
  }
  const message = replyTo(query.request, answer);
  if (outside === undefined) return { kind: 'reply', message };
  return followed(deps, query, message, outside);
}

async function followed(deps: PluginDeps, query: Query, message: Message, name: string): Promise<Outcome> {
  const { type, class: asked } = query.question;
  const found = await deps.host.resolve(query, { name, type, class: asked });
  // A name that is none of ours and that nobody here can look up: the client follows the alias by itself.
  const rcode = found.rcode === 'REFUSED' || found.rcode === 'SERVFAIL' ? message.rcode : found.rcode;
  return {
    kind: 'reply',
    message: {
      ...message,
      rcode,
      truncated: found.truncated,
      answers: [...message.answers, ...found.answers],
    },
  };
}

/** A zone of ours whose data is not there: SERVFAIL, with the reason. */
export function zoneNotReady(zone: string, why: string): Outcome {
  const extended: ExtendedError = { code: EDE.NOT_READY, text: why };
  return failure('SERVFAIL', `zone ${zone}: ${why}`, extended);
}

/** The longest of the zones that holds the name. */
export function longestZone(name: string, zones: Iterable<string>): string | undefined {
  let best: string | undefined;
  for (const zone of zones) {
    if (isWithin(name, zone) && (best === undefined || zone.length > best.length)) best = zone;
  }
  return best;
}
