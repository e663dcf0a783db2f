import koffi, { type KoffiFunc } from 'koffi';
import { Fault } from '../../base/fault.ts';
import { binding } from './binding.ts';

type Sleep = KoffiFunc<(microseconds: number) => number>;

let sleep: Sleep | undefined;

/**
 * Stops the whole thread for so long, and up to 50 us more (PR_SET_TIMERSLACK of prctl(2)); a signal ends it early. Throws Fault
 * FFI at first use.
 */
export function sleepThread(microseconds: number): void {
  sleep ??= binding(load);
  sleep(microseconds);
}

function load(): Sleep {
  try {
    return koffi.load(null).func('int usleep(unsigned int microseconds)');
  } catch (cause) {
    throw new Fault('FFI', 'usleep of this host cannot be called', { cause });
  }
}
