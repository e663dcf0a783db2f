import { arch, endianness, platform } from 'node:os';
import { Fault } from '../../base/fault.ts';

/** Struct sizes and offsets of Linux on 64-bit little-endian machines, as bits/socket.h and netinet/in.h lay them out. */
export const MSGHDR = {
  NAME: 0,
  NAME_BYTES: 8,
  IOV: 16,
  IOV_COUNT: 24,
  CONTROL: 32,
  CONTROL_BYTES: 40,
  FLAGS: 48,
} as const;
/** struct mmsghdr: a msghdr, then the length that was moved. */
export const MMSGHDR = { LENGTH: 56, BYTES: 64 } as const;
export const IOVEC = { BASE: 0, LENGTH: 8, BYTES: 16 } as const;
export const SOCKADDR = { FAMILY: 0, PORT: 2, V4: 4, V6: 8, V4_BYTES: 16, V6_BYTES: 28 } as const;
/** struct cmsghdr: length u64, level i32, type i32, data. */
export const CMSG = { LENGTH: 0, LEVEL: 8, TYPE: 12, DATA: 16 } as const;

export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_DGRAM = 2;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_RCVTIMEO = 20;
export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const IP_PKTINFO = 8;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
/** recvmmsg: wait for the first datagram only. */
export const MSG_WAITFORONE = 0x10000;
export const MSG_TRUNC = 0x20;
export const MSG_CTRUNC = 0x8;

/** Throws Fault NATIVE_UNSUPPORTED on a machine whose layouts these are not. */
export function assertLayout(): void {
  const known = platform() === 'linux' && (arch() === 'x64' || arch() === 'arm64') && endianness() === 'LE';
  if (!known) throw new Fault('NATIVE_UNSUPPORTED', `no layouts for ${platform()} on ${arch()}`);
}
