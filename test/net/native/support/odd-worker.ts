/** A supervised thread that does as it is told, well or badly. */
import { systemClock } from '../../../../src/base/clock.ts';
import { Fault } from '../../../../src/base/fault.ts';
import { pinThread } from '../../../../src/net/native/cpu-affinity.ts';
import { openStreamListener } from '../../../../src/net/native/stream-listener.ts';
import { EpollLoop } from '../../../../src/net/native/epoll-loop.ts';
import { ThreadSeat } from '../../../../src/net/native/thread-seat.ts';
import { TimerWheel } from '../../../../src/net/native/timer-wheel.ts';

export interface OddData {
  /** What it does before it first comes round. */
  readonly begins: 'well' | 'fails' | 'slowly';
}
export type OddOrder =
  | { readonly say: string }
  | { readonly do: 'fail' | 'exit' | 'stand' | 'bind' | 'hold' };

const SLOW_MS = 3_000;
const seat = ThreadSeat.take<OddData, OddOrder, string>();
const timers = new TimerWheel(systemClock, { slots: 8, tickMs: 10 });
const { descriptors, wakeFd } = seat;
const loop = EpollLoop.open({ descriptors, timers, wakeFd });

/** Holds the thread up as a loop without an end would, or a call that does not come back. */
function stand(forMs: number): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(never, 0, 0, forMs);
}

/** Is in the midst of it whenever it is ended. */
function bindForever(): never {
  for (;;) {
    try {
      pinThread(0);
    } catch {
      // not a processor of ours: it has been bound all the same
    }
  }
}

function obey(order: OddOrder): void {
  if ('say' in order) return seat.post(order.say);
  switch (order.do) {
    case 'fail':
      throw new Fault('ODD', 'as told');
    case 'exit':
      return process.exit(7);
    case 'stand':
      return stand(Infinity);
    case 'bind':
      return bindForever();
    case 'hold': {
      const options = { address: '127.0.71.9', port: 0, backlog: 1, reusePort: false };
      const { fd, port } = openStreamListener(options);
      descriptors.adopt(fd);
      seat.post(String(port));
    }
  }
}

if (seat.data.begins === 'fails') obey({ do: 'fail' });
if (seat.data.begins === 'slowly') stand(SLOW_MS);
seat.serve(loop, { obey });
loop[Symbol.dispose]();
