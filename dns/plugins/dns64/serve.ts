import { familyOf, formatAddress, parseAddress } from '../../../src/net/ip.ts';
import type { Cidr } from '../../../src/net/cidr.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import { asks, type Outcome, type Query } from '../../query.ts';
import { sharedCounter } from '../../plugin-metrics.ts';
import { record, type Message, type ResourceRecord } from '../../wire/message.ts';
import { EDE } from '../../wire/numbers.ts';

export interface Dns64Options {
  readonly prefix: Cidr;
  /** Synthesizes even where there are AAAA records. */
  readonly translateAll: boolean;
  /** For questions that came over IPv4 too. */
  readonly allowIPv4: boolean;
}

/** The ttl of made records when the denial of AAAA had no SOA (RFC 6147 section 5.1.7). */
const TTL_WITHOUT_SOA_SECONDS = 600;

/** Makes AAAA answers from A records for clients behind NAT64 (RFC 6147). */
export function openDns64(deps: PluginDeps, options: Dns64Options): Plugin {
  const translated = sharedCounter(deps, {
    name: 'coredns_dns64_requests_translated_total',
    help: 'Counter of DNS requests translated by dns64.',
    labelNames: ['server'],
  });
  return {
    name: 'dns64',
    serve: async (query, next) => {
      if (!wanted(query, options)) return await next(query);
      const native = await next(query);
      if (!needsSynthesis(native, options)) return native;
      const question = { ...query.question, type: 'A' as const };
      const found = await deps.host.resolve(query, question);
      const message = synthesized(query, native.message, found, options.prefix);
      if (!message) return native;
      translated.inc({ server: query.listener });
      return { kind: 'reply', message, extended: { code: EDE.SYNTHESIZED, text: 'DNS64' } };
    },
  };
}

/** RFC 6147 5.5: one who validates by himself must see what is really there. */
function wanted(query: Query, { allowIPv4 }: Dns64Options): boolean {
  const { request } = query;
  const validates = request.edns?.dnssecOk === true && request.checkingDisabled;
  return asks(query, 'AAAA') && !validates && (allowIPv4 || familyOf(query.client.address) === 'IPv6');
}

/** NXDOMAIN says that there is no A either (5.1.2); errors other than that are treated as empty (5.1.3). */
function needsSynthesis(
  outcome: Outcome,
  { translateAll }: Dns64Options,
): outcome is Extract<Outcome, { kind: 'reply' }> {
  if (outcome.kind !== 'reply' || outcome.message.rcode === 'NXDOMAIN') return false;
  return translateAll || !outcome.message.answers.some(isUsable);
}

/** IPv4-mapped addresses are none that a host can reach (5.1.4). */
function isUsable(found: ResourceRecord): boolean {
  return found.type === 'AAAA' && !/^::ffff:/i.test(found.data.address);
}

function synthesized({ request }: Query, native: Message, found: Message, prefix: Cidr): Message | undefined {
  if (found.rcode !== 'NOERROR' || !found.answers.some(({ type }) => type === 'A')) return undefined;
  const soa = native.authorities.find(({ type }) => type === 'SOA');
  const ttlMax = soa?.ttl ?? TTL_WITHOUT_SOA_SECONDS;
  const answers = found.answers.flatMap((each): ResourceRecord[] => {
    if (each.type === 'CNAME' || each.type === 'DNAME') return [each];
    if (each.type !== 'A') return [];
    const address = embedded(prefix, each.data.address);
    return [record(each.name, Math.min(each.ttl, ttlMax), 'AAAA', { address })];
  });
  return {
    ...found,
    id: request.id,
    questions: request.questions,
    authenticData: false,
    answers,
    authorities: [],
    additionals: [],
  };
}

/** An IPv4 address behind the prefix; octet 8 stays zero (RFC 6052 section 2.2). */
function embedded({ network, prefixBits }: Cidr, address: string): string {
  const out = Uint8Array.from(network);
  let at = prefixBits / 8;
  for (const byte of parseAddress(address) ?? []) {
    if (at === 8) at++;
    out[at++] = byte;
  }
  return formatAddress(out);
}
