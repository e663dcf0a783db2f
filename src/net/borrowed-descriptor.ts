import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { Fault } from '../base/fault.ts';
import { lastErrno } from './libc.ts';

/** The same numbers on every architecture: syscalls since Linux 5.0 are shared. */
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;

type Syscall = (number: number, first: number, second: number, third: number) => number;

let syscall: Syscall | undefined;

/**
 * A copy of another process's descriptor, as pidfd_getfd(2) makes it (Linux 5.6): closed on exec, and ours to close.
 * Throws Fault DESCRIPTOR when that process has none of this number, or when we may not trace it (ptrace(2)).
 */
export function borrowDescriptor(pid: number, fd: number): number {
  syscall ??= koffi
    .load(null)
    .func('long syscall(long number, long first, long second, long third)') as Syscall;
  const process = syscall(PIDFD_OPEN, pid, 0, 0);
  const copy = process < 0 ? -1 : syscall(PIDFD_GETFD, process, fd, 0);
  const errno = copy < 0 ? lastErrno() : '';
  if (process >= 0) closeSync(process);
  if (copy >= 0) return copy;
  throw new Fault('DESCRIPTOR', `descriptor ${fd} of process ${pid}: ${errno}`);
}
