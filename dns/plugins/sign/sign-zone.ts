import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { encodeRdata } from '../../wire/encode.ts';
import { record, type ResourceRecord, type TypedRecord } from '../../wire/message.ts';
import { nameToWire, parentName } from '../../wire/name.ts';
import type { RecordType } from '../../wire/numbers.ts';
import { ZoneData, type ZoneNode } from '../../zone/zone-data.ts';
import type { SigningKey } from '../dnssec/key.ts';
import { signSet, type Validity } from '../dnssec/sign-set.ts';

/** Made by us; those of the source are left out. */
const MADE: readonly RecordType[] = ['RRSIG', 'NSEC', 'NSEC3', 'NSEC3PARAM', 'DNSKEY', 'CDS', 'CDNSKEY'];
const DIGEST_SHA256 = 2;
/** Names signed before other work gets its turn. */
const NAMES_PER_TURN = 50;

/** A signed copy of a zone (RFC 4035 section 2): keys, NSEC chain, signatures of everything that is the zone's own. */
export async function signZone(
  source: ZoneData,
  keys: readonly SigningKey[],
  validity: Validity,
  serial: number,
): Promise<ZoneData> {
  const zone = withKeys(source, keys, serial);
  const names = zone.names().filter((name) => isOwn(zone, name));
  const ttl = Math.min(zone.soa.ttl, zone.soa.data.minimum);
  const added: ResourceRecord[] = [];
  for (const [i, name] of names.entries()) {
    const node = zone.node(name)!;
    const isCut = name !== zone.origin && node.has('NS');
    const signedTypes = [...node.keys()].filter((type) => !isCut || type === 'DS');
    const inProof = isCut
      ? [...node.keys()].filter((type) => type === 'DS' || type === 'NS')
      : [...node.keys()];
    const nextName = names[i + 1] ?? zone.origin;
    const nsec = record(name, ttl, 'NSEC', { nextName, types: [...inProof, 'RRSIG', 'NSEC'] });
    const sets = [...signedTypes.map((type) => evenTtl(node.get(type)!)), [nsec]];
    added.push(nsec, ...sets.flatMap((set) => keys.map((key) => signSet(set, zone.origin, key, validity))));
    if (i % NAMES_PER_TURN === NAMES_PER_TURN - 1) await setImmediate();
  }
  return ZoneData.of(zone.origin, [...evenRecords(zone), ...added]);
}

/** The zone as given, with the new serial, DNSKEY, and what tells the parent of the keys (RFC 7344). */
function withKeys(source: ZoneData, keys: readonly SigningKey[], serial: number): ZoneData {
  const { origin, soa } = source;
  const made = keys.flatMap((key) => {
    const { data } = key.record;
    return [
      record(origin, soa.ttl, 'DNSKEY', data),
      record(origin, 0, 'CDNSKEY', data),
      record(origin, 0, 'CDS', {
        keyTag: key.tag,
        algorithm: key.algorithm,
        digestType: DIGEST_SHA256,
        digest: keyDigest(origin, key.record),
      }),
    ];
  });
  const rest = Array.from(source.records()).filter(({ type }) => type !== 'SOA' && !MADE.includes(type));
  return ZoneData.of(origin, [{ ...soa, data: { ...soa.data, serial } }, ...rest, ...made]);
}

/** RFC 4034 section 5.1.4. */
function keyDigest(owner: string, dnskey: TypedRecord<'DNSKEY'>): Uint8Array {
  const hash = createHash('sha256').update(nameToWire(owner) ?? new Uint8Array(0));
  return new Uint8Array(hash.update(encodeRdata(dnskey)).digest());
}

/** Not an empty non-terminal, not below a cut or a DNAME. */
function isOwn(zone: ZoneData, name: string): boolean {
  if (zone.node(name)!.size === 0) return false;
  for (let at = name; at !== zone.origin; at = parentName(at)) {
    const above: ZoneNode | undefined = zone.node(parentName(at));
    const apex = parentName(at) === zone.origin;
    if (above?.has('DNAME') || (!apex && above?.has('NS'))) return false;
  }
  return true;
}

/** All records of a set must have one ttl (RFC 2181 section 5.2): the smallest. */
function evenTtl(set: readonly ResourceRecord[]): readonly ResourceRecord[] {
  const ttl = Math.min(...set.map((each) => each.ttl));
  return set.map((each) => (each.ttl === ttl ? each : { ...each, ttl }));
}

function* evenRecords(zone: ZoneData): Iterable<ResourceRecord> {
  for (const name of zone.names()) for (const set of zone.node(name)!.values()) yield* evenTtl(set);
}
