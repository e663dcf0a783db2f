import koffi from 'koffi';
import { Fault } from '../../base/fault.ts';
import { lastErrno } from '../libc.ts';
import { binding } from './binding.ts';

/** The calls of batched datagrams. Pointers are addresses out of an Arena. */
export interface DatagramCalls {
  readonly recvmmsg: (fd: number, headers: number, count: number, flags: number, timeout: null) => number;
  readonly sendmmsg: (fd: number, headers: number, count: number, flags: number) => number;
}

let calls: DatagramCalls | undefined;

/** Loaded at first use. Throws Fault FFI. */
export function datagramCalls(): DatagramCalls {
  calls ??= binding(load);
  return calls;
}

function load(): DatagramCalls {
  try {
    const libc = koffi.load(null);
    return {
      recvmmsg: libc.func(
        'int recvmmsg(int fd, uint64_t headers, unsigned int count, int flags, void *timeout)',
      ),
      sendmmsg: libc.func('int sendmmsg(int fd, uint64_t headers, unsigned int count, int flags)'),
    };
  } catch (cause) {
    throw new Fault('FFI', 'recvmmsg and sendmmsg of this host cannot be called', { cause });
  }
}

/** A Fault named by the errno of the call that just failed. */
export function callFault(what: string): Fault {
  const errno = lastErrno();
  return new Fault(errno, `${what}: ${errno}`);
}
