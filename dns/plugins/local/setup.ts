import { expectArgs, readOptions, readWord } from '../../corefile/options.ts';
import type { Directive, Plugin, PluginDeps } from '../../plugin.ts';
import type { Outcome, Query } from '../../query.ts';
import { sharedCounter } from '../../plugin-metrics.ts';
import { record, replyTo, type ResourceRecord } from '../../wire/message.ts';
import { isWithin } from '../../wire/name.ts';

const ZONES = ['localhost.', '0.in-addr.arpa.', '127.in-addr.arpa.', '255.in-addr.arpa.'] as const;
const LOOPBACK_NAME = '1.0.0.127.in-addr.arpa.';
const TTL_SECONDS = 604_800;

/** `local { localhost_prefix on|off }`: localhost and the loopback's reverse zones are answered here and never asked of others (RFC 6761 6.3). */
export const local: Directive = {
  name: 'local',
  setup(context) {
    expectArgs(context, context.stanza, 0, 0);
    let prefix = true;
    readOptions(context, {
      localhost_prefix: (line) => {
        if (expectArgs(context, line, 1, 1))
          prefix = readWord(context, line.args[0]!, ['on', 'off']) !== 'off';
      },
    });
    const { strict } = context;
    return (deps) => openLocal(deps, { strict, prefix });
  },
};

interface LocalOptions {
  readonly strict: boolean;
  /** `localhost.<anything>` is ours too. */
  readonly prefix: boolean;
}

function openLocal(deps: PluginDeps, { strict, prefix }: LocalOptions): Plugin {
  const seen = sharedCounter(deps, {
    name: 'coredns_local_localhost_requests_total',
    help: 'Counter of localhost.<domain> requests.',
    labelNames: [],
  });
  return {
    name: 'local',
    serve: (query, next) => {
      // What a search path makes of "localhost" must not leave the host either.
      if (prefix && query.name.startsWith('localhost.') && query.name !== 'localhost.') {
        seen.inc();
        return answer(query, loopback(query), query.question.name);
      }
      const zone = ZONES.find((one) => isWithin(query.name, one));
      return zone === undefined ? next(query) : inZone(query, zone, strict);
    },
  };
}

function inZone(query: Query, zone: string, strict: boolean): Outcome {
  const { name, type } = query.question;
  const apex = query.name === zone;
  if (apex && type === 'SOA') return answer(query, [soa(name)], zone);
  if (apex && type === 'NS')
    return answer(query, [record(name, TTL_SECONDS, 'NS', { target: 'localhost.' })], zone);
  if (zone === 'localhost.' && (apex || !strict)) return answer(query, loopback(query), zone);
  if (query.name === LOOPBACK_NAME) {
    const pointer = record(name, TTL_SECONDS, 'PTR', { target: 'localhost.' });
    return answer(query, type === 'PTR' ? [pointer] : [], zone);
  }
  const exists = apex || strict || isWithin(LOOPBACK_NAME, query.name);
  return answer(query, [], zone, exists ? 'NOERROR' : 'NXDOMAIN');
}

function loopback({ question: { name, type } }: Query): ResourceRecord[] {
  if (type === 'A') return [record(name, TTL_SECONDS, 'A', { address: '127.0.0.1' })];
  return type === 'AAAA' ? [record(name, TTL_SECONDS, 'AAAA', { address: '::1' })] : [];
}

function answer(
  { request }: Query,
  answers: readonly ResourceRecord[],
  zone: string,
  rcode: 'NOERROR' | 'NXDOMAIN' = 'NOERROR',
): Outcome {
  const authorities = answers.length > 0 ? [] : [soa(zone)];
  return { kind: 'reply', message: replyTo(request, { authoritative: true, rcode, answers, authorities }) };
}

function soa(zone: string): ResourceRecord {
  return record(zone, TTL_SECONDS, 'SOA', {
    mname: 'localhost.',
    rname: 'root.localhost.',
    serial: 1,
    refresh: 0,
    retry: 0,
    expire: 0,
    minimum: TTL_SECONDS,
  });
}
