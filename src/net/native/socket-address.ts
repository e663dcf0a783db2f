import { Fault } from '../../base/fault.ts';
import { familyOf, formatAddress, parseAddress } from '../ip.ts';
import { AF_INET, AF_INET6, SOCKADDR } from './abi.ts';

export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

const V4_MAPPED_BYTES = 12;

/** As struct sockaddr_in or sockaddr_in6. Throws Fault ADDRESS_INVALID. */
export function writeSocketAddress({ address, port }: SocketAddress, out: Uint8Array): number {
  const bytes = parseAddress(address);
  if (!bytes) throw new Fault('ADDRESS_INVALID', `${address} is no IP address`);
  const six = familyOf(address) === 'IPv6';
  const size = six ? SOCKADDR.V6_BYTES : SOCKADDR.V4_BYTES;
  out.fill(0, 0, size);
  out[SOCKADDR.FAMILY] = six ? AF_INET6 : AF_INET;
  out[SOCKADDR.PORT] = port >> 8;
  out[SOCKADDR.PORT + 1] = port & 0xff;
  out.set(bytes, six ? SOCKADDR.V6 : SOCKADDR.V4);
  return size;
}

/** Reads either struct; an IPv4 client of a dual-stack socket comes back as IPv4. */
export function readSocketAddress(bytes: Uint8Array, at = 0): SocketAddress {
  const port = (bytes[at + SOCKADDR.PORT]! << 8) | bytes[at + SOCKADDR.PORT + 1]!;
  if (bytes[at + SOCKADDR.FAMILY] === AF_INET)
    return { address: formatAddress(bytes.subarray(at + SOCKADDR.V4, at + SOCKADDR.V4 + 4)), port };
  const six = bytes.subarray(at + SOCKADDR.V6, at + SOCKADDR.V6 + 16);
  const plain = isMapped(six) ? six.subarray(V4_MAPPED_BYTES) : six;
  return { address: formatAddress(plain), port };
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
}
