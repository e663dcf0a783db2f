import type { Socket } from 'node:net';
import koffi from 'koffi';
import { formatAddress } from './ip.ts';

const SOL_IP = 0;
const SOL_IPV6 = 41;
/** linux/netfilter_ipv4.h; ip6tables' twin has the same number. */
const SO_ORIGINAL_DST = 80;
/** sockaddr_in and sockaddr_in6. */
const ADDRESS_BYTES = { IPv4: 16, IPv6: 28 } as const;

type GetSockOpt = (fd: number, level: number, name: number, value: Uint8Array, size: [number]) => number;
let getsockopt: GetSockOpt | undefined;

interface WithHandle {
  readonly _handle?: { readonly fd?: number } | null;
}

/**
 * Where a client wanted to go before the kernel redirected it here (REDIRECT of nf_nat). Undefined for a connection
 * that was not redirected, or is gone already.
 */
export function originalDestination(
  socket: Socket,
): { readonly address: string; readonly port: number } | undefined {
  const fd = (socket as Socket & WithHandle)._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  getsockopt ??= koffi
    .load(null)
    .func(
      'int getsockopt(int fd, int level, int name, void *value, _Inout_ unsigned int *size)',
    ) as GetSockOpt;
  const isIPv4 = socket.remoteFamily === 'IPv4';
  const value = Buffer.alloc(isIPv4 ? ADDRESS_BYTES.IPv4 : ADDRESS_BYTES.IPv6);
  const level = isIPv4 ? SOL_IP : SOL_IPV6;
  if (getsockopt(fd, level, SO_ORIGINAL_DST, value, [value.length]) !== 0) return undefined;
  const at = isIPv4 ? 4 : 8;
  return { port: value.readUInt16BE(2), address: formatAddress(value.subarray(at, at + (isIPv4 ? 4 : 16))) };
}
