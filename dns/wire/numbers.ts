/** Names of the numbers on the wire (IANA "Domain Name System (DNS) Parameters"). Unknown numbers keep RFC 3597 names. */
const TYPE_NUMBERS = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  SMIMEA: 53,
  CDS: 59,
  CDNSKEY: 60,
  OPENPGPKEY: 61,
  CSYNC: 62,
  ZONEMD: 63,
  SVCB: 64,
  HTTPS: 65,
  SPF: 99,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  URI: 256,
  CAA: 257,
} as const;

export type KnownType = keyof typeof TYPE_NUMBERS;
/** A record or question type by mnemonic, `TYPE123` for one without. */
export type RecordType = KnownType | `TYPE${number}`;
export type RecordClass = 'IN' | 'CH' | 'HS' | 'NONE' | 'ANY' | `CLASS${number}`;

const TYPE_NAMES = new Map<number, KnownType>(
  Object.entries(TYPE_NUMBERS).map(([name, number]) => [number, name as KnownType]),
);
const CLASS_NUMBERS: Readonly<Record<string, number>> = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 };
const CLASS_NAMES = new Map(Object.entries(CLASS_NUMBERS).map(([name, n]) => [n, name as RecordClass]));

export function typeName(number: number): RecordType {
  return TYPE_NAMES.get(number) ?? `TYPE${number}`;
}

export function typeNumber(type: RecordType): number {
  return (TYPE_NUMBERS as Readonly<Record<string, number>>)[type] ?? Number(type.slice(4));
}

/** Reads a mnemonic or TYPE123, in any case. */
export function parseType(text: string): RecordType | undefined {
  const upper = text.toUpperCase();
  if (upper in TYPE_NUMBERS) return upper as KnownType;
  return /^TYPE\d{1,5}$/.test(upper) && Number(upper.slice(4)) <= 0xffff
    ? typeName(Number(upper.slice(4)))
    : undefined;
}

export function className(number: number): RecordClass {
  return CLASS_NAMES.get(number) ?? `CLASS${number}`;
}

export function classNumber(name: RecordClass): number {
  return CLASS_NUMBERS[name] ?? Number(name.slice(5));
}

export function parseClass(text: string): RecordClass | undefined {
  const upper = text.toUpperCase();
  if (upper in CLASS_NUMBERS) return upper as RecordClass;
  return /^CLASS\d{1,5}$/.test(upper) && Number(upper.slice(5)) <= 0xffff
    ? className(Number(upper.slice(5)))
    : undefined;
}

const RCODES = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
  'YXDOMAIN',
  'YXRRSET',
  'NXRRSET',
  'NOTAUTH',
  'NOTZONE',
] as const;
const HIGH_RCODES = { BADVERS: 16, BADKEY: 17, BADTIME: 18, BADTRUNC: 22, BADCOOKIE: 23 } as const;

/** A response code by name, the extended ones (RFC 6891 6.1.3) included. */
export type Rcode = (typeof RCODES)[number] | keyof typeof HIGH_RCODES | `RCODE${number}`;

/** Names of the TSIG and TKEY errors; 16 is BADVERS in a message. Only read. */
const TSIG_RCODES: Readonly<Record<string, number>> = { BADSIG: 16, BADMODE: 19, BADNAME: 20, BADALG: 21 };

const HIGH_NAMES = new Map(Object.entries(HIGH_RCODES).map(([name, n]) => [n as number, name as Rcode]));

export function rcodeName(number: number): Rcode {
  return RCODES[number] ?? HIGH_NAMES.get(number) ?? `RCODE${number}`;
}

export function rcodeNumber(rcode: Rcode): number {
  const low = (RCODES as readonly string[]).indexOf(rcode);
  if (low >= 0) return low;
  return (HIGH_RCODES as Readonly<Record<string, number>>)[rcode] ?? Number(rcode.slice(5));
}

export function parseRcode(text: string): Rcode | undefined {
  const upper = text.toUpperCase();
  if (Object.hasOwn(TSIG_RCODES, upper)) return rcodeName(TSIG_RCODES[upper]!);
  if ((RCODES as readonly string[]).includes(upper) || upper in HIGH_RCODES) return upper as Rcode;
  return /^(RCODE)?\d{1,4}$/.test(upper) ? rcodeName(Number(upper.replace('RCODE', ''))) : undefined;
}

export type Opcode = 'QUERY' | 'IQUERY' | 'STATUS' | 'NOTIFY' | 'UPDATE' | 'DSO' | `OPCODE${number}`;
const OPCODES: Readonly<Record<number, Opcode>> = {
  0: 'QUERY',
  1: 'IQUERY',
  2: 'STATUS',
  4: 'NOTIFY',
  5: 'UPDATE',
  6: 'DSO',
};

export function opcodeName(number: number): Opcode {
  return OPCODES[number] ?? `OPCODE${number}`;
}

export function opcodeNumber(opcode: Opcode): number {
  const known = Object.entries(OPCODES).find(([, name]) => name === opcode);
  return known ? Number(known[0]) : Number(opcode.slice(6));
}

/** Reads a mnemonic, in any case. */
export function parseOpcode(text: string): Opcode | undefined {
  return Object.values(OPCODES).find((name) => name === text.toUpperCase());
}

/** Option codes of EDNS that the server acts on. */
export const EDNS_OPTION = {
  NSID: 3,
  CLIENT_SUBNET: 8,
  EXPIRE: 9,
  COOKIE: 10,
  TCP_KEEPALIVE: 11,
  PADDING: 12,
  EDE: 15,
} as const;

/** Extended DNS Errors, RFC 8914 section 4. */
export const EDE = {
  OTHER: 0,
  STALE_ANSWER: 3,
  FORGED_ANSWER: 4,
  DNSSEC_BOGUS: 6,
  NOT_READY: 14,
  BLOCKED: 15,
  FILTERED: 17,
  PROHIBITED: 18,
  STALE_NXDOMAIN: 19,
  NOT_AUTHORITATIVE: 20,
  NOT_SUPPORTED: 21,
  NO_REACHABLE_AUTHORITY: 22,
  NETWORK_ERROR: 23,
  INVALID_DATA: 24,
  SYNTHESIZED: 29,
} as const;
