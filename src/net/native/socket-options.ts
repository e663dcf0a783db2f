import { familyOf } from '../ip.ts';
import { socketCalls } from '../libc.ts';
import {
  IP_TRANSPARENT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_FREEBIND,
  IPV6_TRANSPARENT,
  SO_ERROR,
  SO_LINGER,
  SO_ORIGINAL_DST,
  SOCKADDR,
  SOL_SOCKET,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from './abi.ts';
import { type Failure, orErrno } from './errno.ts';
import { readSocketAddress, type SocketAddress } from './socket-address.ts';
import { streamCalls } from './stream-calls.ts';

/** Sets an option that consists of 32-bit words. */
export function setOption(fd: number, level: number, name: number, ...words: readonly number[]): 0 | Failure {
  const value = new Uint8Array(Int32Array.from(words).buffer);
  return orErrno(socketCalls().setsockopt(fd, level, name, value, value.length));
}

const ONE = new Uint8Array(Int32Array.of(1).buffer);
const LINGER_NOT = new Uint8Array(Int32Array.of(1, 0).buffer);

/** Small writes leave at once. Accepted sockets have it from their listener. */
export function setNoDelay(fd: number): 0 | Failure {
  return orErrno(socketCalls().setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ONE, ONE.length));
}

/** A close from now on is a reset (RFC 9293 3.10.5 ABORT). */
export function setAbortOnClose(fd: number): 0 | Failure {
  return orErrno(socketCalls().setsockopt(fd, SOL_SOCKET, SO_LINGER, LINGER_NOT, LINGER_NOT.length));
}

/** How long sent bytes may stay unacknowledged before the kernel gives the connection up. */
export function setUserTimeout(fd: number, timeoutMs: number): 0 | Failure {
  return setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, timeoutMs);
}

/** Addresses that are not this host's may be bound and answered from. Needs net_admin. */
export function setTransparent(fd: number, address: string): 0 | Failure {
  return familyOf(address) === 'IPv6'
    ? setOption(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    : setOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

/** Addresses that no interface has may be bound. A route of type local makes one this host's own, but lets only IPv4 bind it. */
export function setFreebind(fd: number, address: string): 0 | Failure {
  return familyOf(address) === 'IPv6' ? setOption(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1) : 0;
}

/** Takes the error that is pending on a socket: 0, or what a connect ended with. */
export function pendingError(fd: number): 0 | Failure {
  const value = new Uint8Array(4);
  const failure = orErrno(streamCalls().getsockopt(fd, SOL_SOCKET, SO_ERROR, value, [value.length]));
  return failure < 0 ? failure : -value[0]!;
}

/** Where a client wanted to go before the kernel redirected it here (REDIRECT of nf_nat); undefined: it was not. */
export function originalDestinationOf(fd: number, family: 'IPv4' | 'IPv6'): SocketAddress | undefined {
  const value = new Uint8Array(SOCKADDR.V6_BYTES);
  const level = family === 'IPv4' ? IPPROTO_IP : IPPROTO_IPV6;
  const size = family === 'IPv4' ? SOCKADDR.V4_BYTES : SOCKADDR.V6_BYTES;
  if (streamCalls().getsockopt(fd, level, SO_ORIGINAL_DST, value, [size]) !== 0) return undefined;
  return readSocketAddress(value);
}

/** The address a socket is bound to, or a client met. */
export function localAddressOf(fd: number): SocketAddress | undefined {
  const name = new Uint8Array(SOCKADDR.V6_BYTES);
  if (streamCalls().getsockname(fd, name, [name.length]) !== 0) return undefined;
  return readSocketAddress(name);
}
