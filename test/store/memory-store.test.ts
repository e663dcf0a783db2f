import { silentLogger } from '../../src/base/log.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { storeSuite } from '../suites/store.ts';
import { FakeClock } from '../support/fake-clock.ts';

storeSuite({
  name: 'memory',
  durable: false,
  open() {
    const clock = new FakeClock();
    const store = openMemoryStore({ clock, log: silentLogger });
    return Promise.resolve({
      store,
      elapse: (durationMs) => clock.advance(durationMs),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    });
  },
});
