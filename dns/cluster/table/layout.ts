/**
 * The compiled table: flat shared memory that the control thread writes and any number of threads read.
 *
 * ```
 * control  Int32   sequence (odd = being written), serial, synced, retired
 * index    Int32   open addressing, two words a slot: hash, offset of a block in the arena (0 = free, -1 = was used)
 * ids      Int32   offset of the service block by service id
 * arena    bytes   blocks, 8-byte aligned:
 *   service   kind 1 | key length | flags | 0 | id u32 | v4 u32 | v4 count u32 | v6 u32 | v6 count u32 | hosts u32 | key
 *   endpoint  kind 2 | label length | v4 count u8 | v6 count u8 | service id u32 | v4 addresses | v6 addresses | label
 *   address   kind 3 | address length | count u16 | (service id u32, endpoint u32)... | address
 *   namespace kind 4 | label length | label
 *   records   packed resource records, owner = pointer to the question
 *   hosts     size u32 | hosts u8 | ports u8 | bytes a host u8 | 0 | hosts... | (protocol, port name as labels)...
 *   a host    endpoint u32 | port u16 | port index u8 | listings u7 and is-IPv6 u1 | address
 * ```
 * A service key is its two labels in wire form, folded: `\3web\4shop`. One IPv4 address stands in the v4 field
 * itself; more, and every IPv6 address, stand in a block of packed records that the field points at.
 */
export const CONTROL = { SEQUENCE: 0, SERIAL: 1, SYNCED: 2, RETIRED: 3, WORDS: 4 } as const;

export const KIND = { SERVICE: 1, ENDPOINT: 2, ADDRESS: 3, NAMESPACE: 4 } as const;

export const SERVICE_HEAD_BYTES = 28;
/** Where a service's field says where its hosts stand: which SRV records there are, in order. */
export const SERVICE_HOSTS_AT = 24;
/** In that field: too many hosts, or names that the table does not hold; the slow path answers. */
export const HOSTS_SLOW = 1;
export const HOSTS_HEAD_BYTES = 8;
/** The port index of a host without a port: it has addresses and no SRV record. */
export const NO_PORT = 255;
/** The slow path answers for this name: an alias, or something the table has no room for. */
export const SERVICE_FLAG_SLOW = 1;
/** The name does not exist for clients; the block is there for its addresses. */
export const SERVICE_FLAG_HIDDEN = 2;
export const ENDPOINT_HEAD_BYTES = 8;
/** In an endpoint's counts: too many addresses under one name; the slow path answers. */
export const ENDPOINT_COUNT_SLOW = 255;
export const ADDRESS_HEAD_BYTES = 4;
export const ADDRESS_ENTRY_BYTES = 8;
/** In place of an endpoint: the address is a ClusterIP of the service. */
export const REF_CLUSTER_IP = 1;
/** In place of an endpoint: the slow path knows its name. */
export const REF_SLOW = 0;
export const NAMESPACE_HEAD_BYTES = 2;

export const A_RECORD_BYTES = 16;
export const AAAA_RECORD_BYTES = 28;

/** The buffers of one table. Growing replaces them; the old control then says retired. */
export interface TableBuffers {
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly index: Int32Array<SharedArrayBuffer>;
  readonly ids: Int32Array<SharedArrayBuffer>;
  readonly arena: Uint8Array<SharedArrayBuffer>;
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a over bytes with ASCII letters folded, seeded by the kind of block. */
export function hashBytes(kind: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = Math.imul(FNV_OFFSET ^ kind, FNV_PRIME);
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    hash = Math.imul(hash ^ (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte), FNV_PRIME);
  }
  return hash;
}

/** True when folded a[start, start + length) equals b[at, at + length), which is folded already. */
export function equalFolded(
  a: Uint8Array,
  start: number,
  b: Uint8Array,
  at: number,
  length: number,
): boolean {
  for (let i = 0; i < length; i++) {
    const byte = a[start + i]!;
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== b[at + i]!) return false;
  }
  return true;
}

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
