import { cidrContains, parseCidr } from '../../../src/net/cidr.ts';
import { canonicalAddress } from '../../../src/net/ip.ts';
import {
  failure,
  type Handler,
  type Outcome,
  type Peer,
  type Plugin,
  type PluginDeps,
  type Query,
  type ZoneSource,
} from '../../plugin.ts';
import { replyTo, type Message, type ResourceRecord } from '../../wire/message.ts';
import { isWithin } from '../../wire/name.ts';
import { Notifier } from './notify.ts';

export interface TransferOptions {
  readonly zones: readonly string[];
  /** Addresses, CIDRs or `*`. */
  readonly allowed: readonly string[];
  /** Told of changes. */
  readonly notified: readonly Peer[];
}

/** Records in one message of a transfer. */
const RECORDS_PER_MESSAGE = 200;

export function openTransfer(deps: PluginDeps, options: TransferOptions): Plugin {
  const notifier = new Notifier(deps, options);
  return {
    name: 'transfer',
    transparent: true,
    serve: (query, next) => serve(deps, options, query, next),
    opened: () => notifier.watch(sources(deps)),
    [Symbol.asyncDispose]: async () => notifier[Symbol.dispose](),
  };
}

function sources(deps: PluginDeps): ZoneSource[] {
  return deps.chain.plugins.flatMap((plugin) => plugin.zoneSource ?? []);
}

function serve(
  deps: PluginDeps,
  options: TransferOptions,
  query: Query,
  next: Handler,
): Outcome | Promise<Outcome> {
  const { type } = query.question;
  if ((type !== 'AXFR' && type !== 'IXFR') || !options.zones.some((zone) => isWithin(query.name, zone))) {
    return next(query);
  }
  const source = sources(deps).find(({ zones }) => zones.includes(query.name));
  if (!source) return next(query);
  if (!allows(options.allowed, query.client.address)) {
    return failure('REFUSED', `transfer of ${query.name} to ${query.client.address} is not allowed`);
  }
  const serial = source.serial(query.name);
  const records = source.records(query.name);
  if (serial === undefined || !records) return failure('SERVFAIL', `zone ${query.name} is not loaded`);
  const soa = firstOf(records);
  if (!soa) return failure('SERVFAIL', `zone ${query.name} has no SOA`);
  const current = type === 'IXFR' && serialOf(query.request) === serial;
  if (current || (type === 'IXFR' && query.transport === 'udp')) {
    // RFC 1995 section 2: over UDP, or with nothing new, the SOA alone; the client then asks over TCP.
    return { kind: 'reply', message: replyTo(query.request, { authoritative: true, answers: [soa] }) };
  }
  if (query.transport === 'udp') return failure('REFUSED', 'AXFR needs TCP');
  return { kind: 'stream', messages: messagesOf(query.request, source.records(query.name)!, soa) };
}

/** The serial that an IXFR question brings along. */
function serialOf(request: Message): number | undefined {
  const soa = request.authorities.find((one) => one.type === 'SOA');
  return soa?.type === 'SOA' ? soa.data.serial : undefined;
}

function firstOf(records: Iterable<ResourceRecord>): ResourceRecord | undefined {
  for (const record of records) return record;
  return undefined;
}

async function* messagesOf(
  request: Message,
  records: Iterable<ResourceRecord>,
  soa: ResourceRecord,
): AsyncIterable<Message> {
  let batch: ResourceRecord[] = [];
  for (const record of records) {
    batch.push(record);
    if (batch.length < RECORDS_PER_MESSAGE) continue;
    yield replyTo(request, { authoritative: true, answers: batch });
    batch = [];
  }
  yield replyTo(request, { authoritative: true, answers: [...batch, soa] });
}

function allows(allowed: readonly string[], client: string): boolean {
  const address = canonicalAddress(client);
  return allowed.some((entry) => {
    if (entry === '*') return true;
    const cidr = parseCidr(entry);
    return cidr ? cidrContains(cidr, client) : canonicalAddress(entry) === address;
  });
}
