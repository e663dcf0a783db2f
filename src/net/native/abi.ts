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

/** struct epoll_event: events u32, then 64 bits of the caller's, packed on x64 only (linux/eventpoll.h). */
export const EPOLL_EVENTS = { x64: { DATA: 4, BYTES: 12 }, arm64: { DATA: 8, BYTES: 16 } } as const;
/** The rest is the same on both: sizes follow from 64 bits, numbers are asm-generic's. */
export const EPOLL_EVENT = EPOLL_EVENTS[arch() === 'x64' ? 'x64' : 'arm64'];

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_RCVTIMEO = 20;
export const IPPROTO_IP = 0;
export const IPPROTO_TCP = 6;
export const IPPROTO_IPV6 = 41;
export const IP_PKTINFO = 8;
export const IP_TRANSPARENT = 19;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_TRANSPARENT = 75;
export const IPV6_FREEBIND = 78;
/** linux/netfilter_ipv4.h; ip6tables' twin has the same number. */
export const SO_ORIGINAL_DST = 80;
export const TCP_NODELAY = 1;
export const TCP_USER_TIMEOUT = 18;
/** recvmmsg: wait for the first datagram only. */
export const MSG_WAITFORONE = 0x10000;
export const MSG_TRUNC = 0x20;
export const MSG_CTRUNC = 0x8;
/** recv, send and their batches: never wait. */
export const MSG_DONTWAIT = 0x40;
export const MSG_PEEK = 0x2;
/** send: an error instead of SIGPIPE. */
export const MSG_NOSIGNAL = 0x4000;

/** Readiness of a descriptor, as epoll_wait reports it. ERR and HUP are reported unasked. */
export const EPOLL = {
  IN: 0x1,
  /** Urgent data (RFC 6093): reads stop short at its mark. */
  PRI: 0x2,
  OUT: 0x4,
  ERR: 0x8,
  HUP: 0x10,
  /** The peer has ended its sending side. */
  RDHUP: 0x2000,
  /** Report each change once, not each wait while it lasts. */
  EDGE: 0x80000000,
} as const;
/** All that a connection is watched for whose both directions count. */
export const DUPLEX_EVENTS = EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP | EPOLL.EDGE;
export const EPOLL_CTL = { ADD: 1, REMOVE: 2, MODIFY: 3 } as const;
export const EVENTFD_FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK;

/** Of a listening socket: it listens no more (Linux). */
export const SHUT_READ = 0;
export const SHUT_WRITE = 1;
export const SPLICE_FLAGS = { MOVE: 1, NONBLOCK: 2 } as const;
export const F_DUPFD_CLOEXEC = 1030;
export const F_SETPIPE_SIZE = 1031;

/** Throws Fault NATIVE_UNSUPPORTED on a machine whose layouts these are not. */
export function assertLayout(): void {
  const known = platform() === 'linux' && (arch() === 'x64' || arch() === 'arm64') && endianness() === 'LE';
  if (!known) throw new Fault('NATIVE_UNSUPPORTED', `no layouts for ${platform()} on ${arch()}`);
}
