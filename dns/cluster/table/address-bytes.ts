import { parseAddress } from '../../../src/net/ip.ts';

/** Writes a canonical address; returns its length, 0 when it is none. IPv4, the many, without a general parser. */
export function writeAddress(text: string, out: Uint8Array, at: number): 0 | 4 | 16 {
  if (!text.includes(':')) return writeIpv4(text, out, at);
  const bytes = parseAddress(text);
  if (bytes?.length !== 16) return 0;
  out.set(bytes, at);
  return 16;
}

function writeIpv4(text: string, out: Uint8Array, at: number): 0 | 4 {
  let octet = 0;
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      out[at + count++] = octet;
      octet = 0;
    } else octet = octet * 10 + code - 0x30;
  }
  out[at + count++] = octet;
  return count === 4 ? 4 : 0;
}
