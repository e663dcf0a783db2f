import type { KnownType, RecordType } from './numbers.ts';

/**
 * What each record type carries, field by field in wire order. Codec and zone text are driven by this one table.
 * - name: written whole; compressible: may be compressed (only types of RFC 1035, RFC 3597 section 4)
 * - text: one character-string as a byte string (one char a byte); texts: one or more
 * - hex, base64: octets to the end; saltHex, hashBase32: octets behind a length byte (NSEC3)
 * - types: an NSEC type bitmap; parameters: SVCB SvcParams; rest: octets shown as quoted text (CAA, URI)
 * - blob16: octets behind a 16-bit length (TSIG)
 */
export const RDATA_FIELDS = {
  A: { address: 'ipv4' },
  NS: { target: 'compressible' },
  CNAME: { target: 'compressible' },
  SOA: {
    mname: 'compressible',
    rname: 'compressible',
    serial: 'u32',
    refresh: 'u32',
    retry: 'u32',
    expire: 'u32',
    minimum: 'u32',
  },
  PTR: { target: 'compressible' },
  HINFO: { cpu: 'text', os: 'text' },
  MX: { preference: 'u16', exchange: 'compressible' },
  TXT: { texts: 'texts' },
  RP: { mbox: 'name', txt: 'name' },
  AFSDB: { subtype: 'u16', hostname: 'name' },
  AAAA: { address: 'ipv6' },
  SRV: { priority: 'u16', weight: 'u16', port: 'u16', target: 'name' },
  NAPTR: {
    order: 'u16',
    preference: 'u16',
    flags: 'text',
    services: 'text',
    regexp: 'text',
    replacement: 'name',
  },
  DNAME: { target: 'name' },
  DS: { keyTag: 'u16', algorithm: 'u8', digestType: 'u8', digest: 'hex' },
  CDS: { keyTag: 'u16', algorithm: 'u8', digestType: 'u8', digest: 'hex' },
  SSHFP: { algorithm: 'u8', fingerprintType: 'u8', fingerprint: 'hex' },
  RRSIG: {
    typeCovered: 'type',
    algorithm: 'u8',
    labels: 'u8',
    originalTtl: 'u32',
    expiration: 'time',
    inception: 'time',
    keyTag: 'u16',
    signerName: 'name',
    signature: 'base64',
  },
  NSEC: { nextName: 'name', types: 'types' },
  DNSKEY: { flags: 'u16', protocol: 'u8', algorithm: 'u8', publicKey: 'base64' },
  CDNSKEY: { flags: 'u16', protocol: 'u8', algorithm: 'u8', publicKey: 'base64' },
  NSEC3: {
    hashAlgorithm: 'u8',
    flags: 'u8',
    iterations: 'u16',
    salt: 'saltHex',
    nextHash: 'hashBase32',
    types: 'types',
  },
  NSEC3PARAM: { hashAlgorithm: 'u8', flags: 'u8', iterations: 'u16', salt: 'saltHex' },
  TLSA: { usage: 'u8', selector: 'u8', matchingType: 'u8', certificate: 'hex' },
  SMIMEA: { usage: 'u8', selector: 'u8', matchingType: 'u8', certificate: 'hex' },
  OPENPGPKEY: { publicKey: 'base64' },
  CSYNC: { serial: 'u32', flags: 'u16', types: 'types' },
  ZONEMD: { serial: 'u32', scheme: 'u8', hashAlgorithm: 'u8', digest: 'hex' },
  SVCB: { priority: 'u16', target: 'name', parameters: 'parameters' },
  HTTPS: { priority: 'u16', target: 'name', parameters: 'parameters' },
  SPF: { texts: 'texts' },
  TSIG: {
    algorithm: 'name',
    timeSigned: 'u48',
    fudge: 'u16',
    mac: 'blob16',
    originalId: 'u16',
    error: 'u16',
    otherData: 'blob16',
  },
  URI: { priority: 'u16', weight: 'u16', target: 'rest' },
  CAA: { flags: 'u8', tag: 'text', value: 'rest' },
} as const satisfies Partial<Record<KnownType, Readonly<Record<string, FieldKind>>>>;

export interface SvcParameter {
  readonly key: number;
  readonly value: Uint8Array;
}

export interface FieldTypes {
  u8: number;
  u16: number;
  u32: number;
  u48: number;
  /** Seconds since the epoch modulo 2^32 (RFC 4034 3.1.5). */
  time: number;
  ipv4: string;
  ipv6: string;
  name: string;
  compressible: string;
  text: string;
  texts: readonly string[];
  rest: string;
  hex: Uint8Array;
  base64: Uint8Array;
  saltHex: Uint8Array;
  hashBase32: Uint8Array;
  blob16: Uint8Array;
  type: RecordType;
  types: readonly RecordType[];
  parameters: readonly SvcParameter[];
}

export type FieldKind = keyof FieldTypes;
export type SchemaType = keyof typeof RDATA_FIELDS;
export type Rdata<T extends SchemaType> = {
  readonly [F in keyof (typeof RDATA_FIELDS)[T]]: FieldTypes[(typeof RDATA_FIELDS)[T][F] & FieldKind];
};

/** Field names and kinds in order; undefined for types kept as opaque octets (RFC 3597). */
export function fieldsOf(type: RecordType): readonly (readonly [string, FieldKind])[] | undefined {
  return FIELD_LISTS.get(type);
}

const FIELD_LISTS = new Map<string, readonly (readonly [string, FieldKind])[]>(
  Object.entries(RDATA_FIELDS).map(([type, fields]) => [
    type,
    Object.entries(fields as Record<string, FieldKind>),
  ]),
);
