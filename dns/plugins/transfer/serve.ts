import { cidrContains, parseCidr } from '../../../src/net/cidr.ts';
import { canonicalAddress } from '../../../src/net/ip.ts';
import type { Plugin, PluginDeps, ZoneSource } from '../../plugin.ts';
import { failure, type Handler, type Outcome, type Peer, type Query } from '../../query.ts';
import { encodeRdata } from '../../wire/encode.ts';
import { replyTo, type Message, type ResourceRecord } from '../../wire/message.ts';
import { isWithin } from '../../wire/name.ts';
import { isNewerSerial } from '../../zone/serial.ts';
import { tsigKey } from '../tsig/key-of.ts';
import { Notifier } from './notify.ts';

export interface TransferOptions {
  readonly zones: readonly string[];
  /** Addresses, CIDRs or `*`. */
  readonly allowed: readonly string[];
  /** Told of changes. */
  readonly notified: readonly Peer[];
  /** Local address of what they are told from. */
  readonly source: string | undefined;
  /** Name of the key (`tsig`) that takers must sign with. */
  readonly key: string | undefined;
}

/** Octets of one message of a transfer, before names are shortened; a record that is larger gets a message of its own. */
const MESSAGE_BYTES = 16_000;
/** Owner, type, class, ttl and length of a record, beside its data. */
const RECORD_HEAD_BYTES = 10;

/** Throws Fault TSIG_KEY_UNKNOWN. */
export function openTransfer(deps: PluginDeps, options: TransferOptions): Plugin {
  const { key } = options;
  const notifier = new Notifier(deps, {
    ...options,
    key: key === undefined ? undefined : tsigKey(deps, key),
  });
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
  if (options.key !== undefined && query.signed?.keyName !== options.key) {
    return failure('REFUSED', `transfer of ${query.name} without the key ${options.key}`);
  }
  const serial = source.serial(query.name);
  const records = source.records(query.name);
  if (serial === undefined || !records) return failure('SERVFAIL', `zone ${query.name} is not loaded`);
  const soa = firstOf(records);
  if (!soa) return failure('SERVFAIL', `zone ${query.name} has no SOA`);
  const theirs = type === 'IXFR' ? serialOf(query.request) : undefined;
  const current = theirs !== undefined && !isNewerSerial(serial, theirs);
  if (current || (type === 'IXFR' && query.transport === 'udp')) {
    // RFC 1995 sections 2 and 4: over UDP, or with nothing newer, the SOA alone; the client then asks over TCP.
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
  let bytes = 0;
  for (const record of records) {
    const size = record.name.length + RECORD_HEAD_BYTES + encodeRdata(record).length;
    if (batch.length > 0 && bytes + size > MESSAGE_BYTES) {
      yield replyTo(request, { authoritative: true, answers: batch });
      [batch, bytes] = [[], 0];
    }
    batch.push(record);
    bytes += size;
  }
  yield replyTo(request, { authoritative: true, answers: batch });
  yield replyTo(request, { authoritative: true, answers: [soa] });
}

function allows(allowed: readonly string[], client: string): boolean {
  const address = canonicalAddress(client);
  return allowed.some((entry) => {
    if (entry === '*') return true;
    const cidr = parseCidr(entry);
    return cidr ? cidrContains(cidr, client) : canonicalAddress(entry) === address;
  });
}
