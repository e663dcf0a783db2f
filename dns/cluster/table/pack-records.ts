import { A_RECORD_BYTES } from './layout.ts';
import { writeAddress } from './address-bytes.ts';

const TYPE_A = 1;
const TYPE_AAAA = 28;

/** Packed A or AAAA records one behind the other; the owner is a pointer to the question. */
export function packRecords(
  addresses: readonly string[],
  ttl: number,
  recordBytes: number,
  out: Uint8Array,
): void {
  const type = recordBytes === A_RECORD_BYTES ? TYPE_A : TYPE_AAAA;
  let at = 0;
  for (const address of addresses) {
    at = writeRecordHead(out, at, type, ttl, recordBytes - 12);
    writeAddress(address, out, at);
    at += recordBytes - 12;
  }
}

/** Other addresses into as many records that are packed already. */
export function packAddresses(addresses: readonly string[], recordBytes: number, out: Uint8Array): void {
  for (let i = 0; i < addresses.length; i++) writeAddress(addresses[i]!, out, i * recordBytes + 12);
}

/** Owner, type, class, ttl and length: 12 bytes. Returns where the data goes. */
export function writeRecordHead(
  out: Uint8Array,
  at: number,
  type: number,
  ttl: number,
  dataBytes: number,
): number {
  out[at] = 0xc0;
  out[at + 1] = 12;
  out[at + 2] = 0;
  out[at + 3] = type;
  out[at + 4] = 0;
  out[at + 5] = 1;
  out[at + 6] = ttl >>> 24;
  out[at + 7] = ttl >>> 16;
  out[at + 8] = ttl >>> 8;
  out[at + 9] = ttl;
  out[at + 10] = 0;
  out[at + 11] = dataBytes;
  return at + 12;
}
