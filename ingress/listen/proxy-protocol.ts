import { PROXY_V1_BYTES_MAX, PROXY_V2_BYTES_MAX } from '../limits.ts';
import { canonicalAddress, formatAddress } from '../../src/net/ip.ts';

/** Who the proxy in front says the client is (PROXY protocol, versions 1 and 2). */
export interface ProxyHeader {
  /** Undefined for UNKNOWN and LOCAL: the connection's own addresses count. */
  readonly source: { readonly address: string; readonly port: number } | undefined;
  readonly destinationPort: number | undefined;
  /** Bytes of the header. */
  readonly length: number;
}

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** undefined = more bytes are needed; a string says why it is no PROXY header. */
export function readProxyHeader(bytes: Buffer): ProxyHeader | string | undefined {
  const probe = Math.min(bytes.length, SIGNATURE.length);
  if (bytes.compare(SIGNATURE, 0, probe, 0, probe) === 0)
    return probe < SIGNATURE.length ? undefined : readV2(bytes);
  return readV1(bytes);
}

function readV1(bytes: Buffer): ProxyHeader | string | undefined {
  const text = bytes.toString('latin1', 0, Math.min(bytes.length, PROXY_V1_BYTES_MAX));
  if (!'PROXY '.startsWith(text.slice(0, 6))) return 'no PROXY header';
  const end = text.indexOf('\r\n');
  if (end < 0) return bytes.length >= PROXY_V1_BYTES_MAX ? 'PROXY line too long' : undefined;
  const line = text.slice(0, end);
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN ')) {
    return { source: undefined, destinationPort: undefined, length: end + 2 };
  }
  const parts = /^PROXY TCP([46]) (\S+) (\S+) (\d{1,5}) (\d{1,5})$/.exec(line);
  const address = parts && canonicalAddress(parts[2]!);
  const destination = parts && canonicalAddress(parts[3]!);
  if (!parts || !address || !destination) return 'bad PROXY line';
  const sixes = parts[1] === '6';
  const ports = [Number(parts[4]), Number(parts[5])] as const;
  if (
    address.includes(':') !== sixes ||
    destination.includes(':') !== sixes ||
    ports[0] > 65_535 ||
    ports[1] > 65_535
  ) {
    return 'bad PROXY line';
  }
  return { source: { address, port: ports[0] }, destinationPort: ports[1], length: end + 2 };
}

const TLV_CRC32C = 3;

function readV2(bytes: Buffer): ProxyHeader | string | undefined {
  if (bytes.length < 16) return undefined;
  const command = bytes[12]!;
  const length = 16 + bytes.readUInt16BE(14);
  if (command >> 4 !== 2 || (command & 15) > 1) return 'unknown PROXY version or command';
  if (length > PROXY_V2_BYTES_MAX) return 'PROXY header too long';
  if (bytes.length < length) return undefined;
  const family = bytes[13]!;
  const addressBytes = family >> 4 === 1 ? 4 : family >> 4 === 2 ? 16 : 0;
  const tlvStart = 16 + (addressBytes > 0 ? addressBytes * 2 + 4 : family >> 4 === 3 ? 216 : 0);
  if (tlvStart > length) return 'short PROXY header';
  const checksum = crcFault(bytes.subarray(0, length), tlvStart);
  if (checksum) return checksum;
  if ((command & 15) === 0 || addressBytes === 0)
    return { source: undefined, destinationPort: undefined, length };
  return {
    source: {
      address: formatAddress(bytes.subarray(16, 16 + addressBytes)),
      port: bytes.readUInt16BE(16 + addressBytes * 2),
    },
    destinationPort: bytes.readUInt16BE(16 + addressBytes * 2 + 2),
    length,
  };
}

/** Checks the CRC32C TLV when there is one, and that the TLVs fill the header. */
function crcFault(header: Buffer, from: number): string | undefined {
  let at = from;
  while (at + 3 <= header.length) {
    const size = header.readUInt16BE(at + 1);
    if (at + 3 + size > header.length) return 'bad PROXY TLV';
    if (header[at] === TLV_CRC32C) {
      if (size !== 4) return 'bad PROXY checksum';
      const blank = Buffer.from(header);
      blank.fill(0, at + 3, at + 7);
      if (crc32c(blank) !== header.readUInt32BE(at + 3)) return 'bad PROXY checksum';
    }
    at += 3 + size;
  }
  return at === header.length ? undefined : 'bad PROXY TLV';
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C (Castagnoli), as RFC 4960 appendix B. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
