import type { ReaderOptions } from './reader-options.ts';

const NS_DNS = Uint8Array.of(2, ...Buffer.from('ns'), 3, ...Buffer.from('dns'));
const HOSTMASTER = Uint8Array.of(10, ...Buffer.from('hostmaster'));
const REFRESH_SECONDS = 7200;
const RETRY_SECONDS = 1800;
const EXPIRE_SECONDS = 86_400;

/** The zone's SOA with every name a pointer to the zone in the question, so its case is that of the question. */
export function writeSoa(
  out: Uint8Array,
  start: number,
  zoneAt: number,
  serial: number,
  { soaTtlSeconds, soaMinimumSeconds }: ReaderOptions,
): number {
  let at = pointer(out, start, zoneAt);
  out[at++] = 0;
  out[at++] = 6;
  out[at++] = 0;
  out[at++] = 1;
  at = u32(out, at, soaTtlSeconds);
  out[at++] = 0;
  out[at++] = NS_DNS.length + 2 + HOSTMASTER.length + 2 + 20;
  for (let i = 0; i < NS_DNS.length; i++) out[at++] = NS_DNS[i]!;
  at = pointer(out, at, zoneAt);
  for (let i = 0; i < HOSTMASTER.length; i++) out[at++] = HOSTMASTER[i]!;
  at = pointer(out, at, zoneAt);
  at = u32(out, at, serial);
  at = u32(out, at, REFRESH_SECONDS);
  at = u32(out, at, RETRY_SECONDS);
  at = u32(out, at, EXPIRE_SECONDS);
  return u32(out, at, soaMinimumSeconds);
}

function pointer(out: Uint8Array, at: number, target: number): number {
  out[at] = 0xc0 | (target >> 8);
  out[at + 1] = target & 0xff;
  return at + 2;
}

function u32(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}
