import { record, type TypedRecord } from '../../wire/message.ts';
import { foldName } from '../../wire/name.ts';
import type { RecordType } from '../../wire/numbers.ts';

/**
 * "Black lies" (RFC 9824, compact denial of existence): the NSEC covers nothing but the name asked for. A name that
 * does not exist is said to exist with no data, so the answer shrinks to one proof and nobody can walk the zone.
 */
export function compactDenial(
  name: string,
  ttl: number,
  denied:
    | { readonly kind: 'name' }
    | { readonly kind: 'type'; readonly type: RecordType; readonly apex: boolean },
): TypedRecord<'NSEC'> {
  const nextName = name === '.' ? '\\000.' : `\\000.${foldName(name)}`;
  const types = denied.kind === 'name' ? [...PROOF_TYPES, NXNAME] : typesBut(denied.type, denied.apex);
  return record(name, ttl, 'NSEC', { nextName, types });
}

const PROOF_TYPES: readonly RecordType[] = ['RRSIG', 'NSEC'];
/** Says that the name itself does not exist (RFC 9824 section 2). */
const NXNAME: RecordType = 'TYPE128';

/**
 * What a name may hold; never CNAME, DNAME or (below the apex) NS, which would say that the answer lies elsewhere.
 * Types listed without being there cost a resolver one more question; one left out would deny it.
 */
const LEAF_TYPES: readonly RecordType[] = [
  'A',
  'PTR',
  'HINFO',
  'MX',
  'TXT',
  'AAAA',
  'SRV',
  'NAPTR',
  'SSHFP',
  'TLSA',
  'SVCB',
  'HTTPS',
  'CAA',
];
const APEX_TYPES: readonly RecordType[] = [...LEAF_TYPES, 'NS', 'SOA', 'DNSKEY'];

function typesBut(type: RecordType, apex: boolean): readonly RecordType[] {
  return [...(apex ? APEX_TYPES : LEAF_TYPES).filter((each) => each !== type), ...PROOF_TYPES];
}

/** At a cut without DS: NS and nothing else that matters (RFC 4035 section 3.1.4). */
export function unsignedCut(name: string, ttl: number): TypedRecord<'NSEC'> {
  return record(name, ttl, 'NSEC', { nextName: `\\000.${foldName(name)}`, types: ['NS', ...PROOF_TYPES] });
}
