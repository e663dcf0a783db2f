import koffi from 'koffi';

/** Errors of stream calls by their number, the same on x64 and arm64 (asm-generic/errno.h). */
export const ERRNO = {
  EPERM: 1,
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  ENFILE: 23,
  EMFILE: 24,
  EPIPE: 32,
  EPROTO: 71,
  ENOBUFS: 105,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
} as const;

/** A negative errno, as the kernel itself returns it; compared with `-ERRNO.EAGAIN`. Nothing is thrown, nothing allocated. */
export type Failure = number;

/** What a call came to: a count or a descriptor, or a Failure where it is negative. */
export type CallResult = number;

/** The result of a libc call that returns -1 and sets errno. */
export function orErrno(result: number): CallResult {
  return result >= 0 ? result : -koffi.errno();
}

/** ECONNRESET for -104, for logs and Faults. */
export function errnoName(failure: Failure): string {
  const found = Object.entries(koffi.os.errno).find(([, value]) => value === -failure);
  return found?.[0] ?? `errno ${-failure}`;
}
