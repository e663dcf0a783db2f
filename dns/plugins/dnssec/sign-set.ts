import { record, type ResourceRecord, type TypedRecord } from '../../wire/message.ts';
import { encodeRdata } from '../../wire/encode.ts';
import { foldName, nameToWire, splitLabels } from '../../wire/name.ts';
import { classNumber, typeNumber } from '../../wire/numbers.ts';
import { fieldsOf } from '../../wire/rdata-schema.ts';
import type { SigningKey } from './key.ts';

export interface Validity {
  /** Seconds since the epoch. */
  readonly inception: number;
  readonly expiration: number;
}

/** Types whose names are signed in lower case (RFC 4034 section 6.2, RFC 6840 section 5.1). */
const FOLDED_TYPES: readonly string[] = [
  'NS',
  'CNAME',
  'SOA',
  'PTR',
  'MX',
  'RP',
  'AFSDB',
  'SRV',
  'NAPTR',
  'DNAME',
  'RRSIG',
];

/** Signs one RRset (RFC 4034 section 3.1.8.1). All records have the same owner, class, type and ttl. */
export function signSet(
  set: readonly ResourceRecord[],
  zone: string,
  key: SigningKey,
  { inception, expiration }: Validity,
): TypedRecord<'RRSIG'> {
  const [first] = set as readonly [ResourceRecord];
  const labels = splitLabels(first.name);
  const unsigned = record(first.name, first.ttl, 'RRSIG', {
    typeCovered: first.type,
    algorithm: key.algorithm,
    labels: labels[0] === '*' ? labels.length - 1 : labels.length,
    originalTtl: first.ttl,
    expiration: expiration % 2 ** 32,
    inception: inception % 2 ** 32,
    keyTag: key.tag,
    signerName: zone,
    signature: new Uint8Array(0),
  });
  const signature = key.sign(Buffer.concat([encodeRdata(unsigned), ...canonicalSet(set)]));
  return { ...unsigned, data: { ...unsigned.data, signature } };
}

/** The records in canonical form and order, each once (RFC 4034 sections 6.2 and 6.3). */
export function canonicalSet(set: readonly ResourceRecord[]): Uint8Array[] {
  const [first] = set as readonly [ResourceRecord];
  const owner = nameToWire(foldName(first.name));
  if (!owner) throw new RangeError(`not a domain name: ${first.name}`);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(typeNumber(first.type), 0);
  head.writeUInt16BE(classNumber(first.class), 2);
  head.writeUInt32BE(first.ttl, 4);
  const datas = set.map((each) => encodeRdata(canonicalRecord(each))).sort((a, b) => Buffer.compare(a, b));
  return datas
    .filter((data, i) => i === 0 || Buffer.compare(data, datas[i - 1]!) !== 0)
    .map((data) => Buffer.concat([owner, head, Uint8Array.of(data.length >> 8, data.length & 0xff), data]));
}

function canonicalRecord(each: ResourceRecord): ResourceRecord {
  if (!FOLDED_TYPES.includes(each.type)) return each;
  const data: Record<string, unknown> = { ...each.data };
  for (const [field, kind] of fieldsOf(each.type) ?? []) {
    if (kind === 'name' || kind === 'compressible') data[field] = foldName(data[field] as string);
  }
  return { ...each, data } as unknown as ResourceRecord;
}
