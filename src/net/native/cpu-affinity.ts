import koffi from 'koffi';
import { Fault } from '../../base/fault.ts';
import { lastErrno } from '../libc.ts';
import { binding } from './binding.ts';

/** As many bits as the kernel's largest cpu_set_t has by default. */
const MASK_BYTES = 128;
const CPUS_MAX = MASK_BYTES * 8;

/** Binds the calling thread to one processor from now on. Throws Fault with errno (EINVAL: there is no such one), FFI. */
export function pinThread(cpu: number): void {
  if (!Number.isInteger(cpu) || cpu < 0 || cpu >= CPUS_MAX) throw new Fault('EINVAL', `no processor ${cpu}`);
  const mask = new Uint8Array(MASK_BYTES);
  mask[cpu >> 3] = 1 << (cpu & 7);
  const calling = 0;
  const pin = binding(() =>
    koffi.load(null).func('int sched_setaffinity(int thread, unsigned long maskBytes, const void *mask)'),
  );
  if ((pin(calling, MASK_BYTES, mask) as number) === 0) return;
  const errno = lastErrno();
  throw new Fault(errno, `cannot bind a thread to processor ${cpu}: ${errno}`);
}
