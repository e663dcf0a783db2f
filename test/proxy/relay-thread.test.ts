import { expect, test } from 'vitest';
import { RelayThread } from '../../proxy/userspace/native/relay-thread.ts';
import { unknownNode } from '../../proxy/userspace/relay-context.ts';
import { createLogger } from '../../src/base/log.ts';
import { openStreamListener, type StreamListener } from '../../src/net/native/stream-listener.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { relayLimits } from './userspace-world.ts';

const PATIENCE_MS = 60_000;
/** As long as a thread may be silent, and more than a pause before the next. */
const SILENCE_MS = 1_000;

/** A thread whose clock stands still: as many looks as we like fall between two of its turns. */
function rig() {
  const clock = new FakeClock();
  const events: string[] = [];
  const stuck = Promise.withResolvers<void>();
  const log = createLogger(({ event }) => {
    events.push(event);
    if (event === 'relay stuck') stuck.resolve();
  }, 'debug');
  const thread = new RelayThread(
    { clock, log },
    { limits: relayLimits, proxyProtocol: undefined, node: unknownNode('IPv4') },
  );
  const closed: number[] = [];
  const open = (): Disposable => {
    const listener: StreamListener = openStreamListener({
      address: '127.0.71.12',
      port: 0,
      backlog: 1,
      reusePort: false,
    });
    const socket = {
      [Symbol.dispose]: () => {
        closed.push(listener.fd);
        listener[Symbol.dispose]();
      },
    };
    return thread.open({ kind: 'catcher', fd: listener.fd, family: 'IPv4', way: 'redirect' }, socket);
  };
  return { clock, thread, events, stuck: stuck.promise, closed, open };
}

test('what a lost thread is asked is answered, and its sockets are closed when it has ended', async () => {
  const { clock, thread, events, stuck, closed, open } = rig();
  await using _thread = thread;
  const doors = [open(), open()];
  await thread.ask('settled');
  doors[0]![Symbol.dispose]();
  await waitFor('a door to close', () => closed.length === 1, PATIENCE_MS);

  let settledAfter: string[] = [];
  void stuck.then(async () => {
    doors[1]![Symbol.dispose]();
    expect(closed).toHaveLength(1);
    await thread.ask('settled');
    settledAfter = [...events];
  });
  const next = async (): Promise<boolean> => {
    await clock.advance(SILENCE_MS);
    return settledAfter.length > 0 && closed.length === 2;
  };
  await waitFor('the next thread', next, PATIENCE_MS);
  expect(settledAfter.filter((event) => event === 'relay stuck')).toHaveLength(1);
});
