import { spawn } from 'node:child_process';
import { mkdtempDisposableSync, readdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { RelayThread } from '../../proxy/userspace/native/relay-thread.ts';
import { unknownNode } from '../../proxy/userspace/relay-context.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLogger, type LogRecord } from '../../src/base/log.ts';
import { socketCalls } from '../../src/net/libc.ts';
import { AF_INET, SOCK_STREAM } from '../../src/net/native/abi.ts';
import { Arena } from '../../src/net/native/arena.ts';
import { writeSocketAddress } from '../../src/net/native/socket-address.ts';
import { localAddressOf } from '../../src/net/native/socket-options.ts';
import { streamCalls } from '../../src/net/native/stream-calls.ts';
import { openStreamListener } from '../../src/net/native/stream-listener.ts';
import { ROOT } from '../support/source-files.ts';
import { waitFor } from '../support/wait-for.ts';
import '../support/property-seed.ts';
import { exchange, tcpEcho } from './proxy-world.ts';
import {
  backend,
  behind,
  closed,
  listen,
  POD,
  relayLimits,
  servicePortView,
  VIP,
  web,
} from './userspace-world.ts';

/** Both sides say this much, so that every offset of either can be its last. */
const MESSAGE_BYTES = 24;
const MSG_OOB = 1;
/** A busy machine is slow, not wrong. */
const PATIENCE_MS = 60_000;
vi.setConfig({ testTimeout: 2 * PATIENCE_MS });

const BURST_BYTES = 400_000;
const BURSTS = 10;
/** A stream of which no shift looks like another part (Knuth's multiplicative hash of the offset). */
const STREAM = Buffer.from(
  Uint32Array.from({ length: (BURSTS * BURST_BYTES) / 4 }, (_word, i) => Math.imul(i, 2_654_435_761)).buffer,
);

/** Sends bursts while it reads them back by fits and starts; resolves when all were the same. */
async function echoed(sizes: readonly number[]): Promise<void> {
  const client = connect({ host: VIP, port: 4497, allowHalfOpen: true });
  let [sent, got] = [0, 0];
  client.on('data', (chunk: Buffer) => {
    expect(chunk.equals(STREAM.subarray(got, got + chunk.length))).toBe(true);
    got += chunk.length;
    client.pause();
    setImmediate(() => client.resume());
  });
  const over = new Promise((resolve) => client.on('end', resolve));
  for (const size of sizes) {
    const burst = STREAM.subarray(sent, sent + size);
    sent += size;
    await new Promise<void>((resolve) => client.write(burst, () => resolve()));
  }
  client.end();
  await over;
  expect(got).toBe(sent);
}

/** How a client's connection ended, and what it had heard by then. */
async function heard(socket: Socket): Promise<{ how: string; text: string }> {
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString()));
  return { how: await closed(socket), text };
}

describe.each(['native', 'portable'] as const)('engine %s', (engine) => {
  test('an endpoint that resets at any offset is a reset to its client, after nothing but its bytes', async () => {
    let offset = 0;
    await using server = await listen((socket) => {
      const bytes = 'x'.repeat(offset++ % MESSAGE_BYTES);
      // what is written and reset at once may be lost on the way: the kernel's right, on a direct connection too
      if (bytes === '') socket.resetAndDestroy();
      else socket.write(bytes, () => setImmediate(() => socket.resetAndDestroy()));
    });
    await using proxy = await backend(engine, [web(4491), behind(server.port, POD)], {});
    const clients = Array.from({ length: 2 * MESSAGE_BYTES }, async () => {
      const { how, text } = await heard(connect({ host: VIP, port: 4491 }));
      expect(how).toBe('ECONNRESET');
      expect(text).toMatch(/^x*$/);
    });
    await Promise.all(clients);
    await waitFor('the end of all', () => proxy.activeCount === 0, PATIENCE_MS);
  });

  test('a client that resets at any offset is a reset to the endpoint, and leaves nothing behind', async () => {
    const ends: string[] = [];
    await using server = await listen((socket) => {
      void closed(socket).then((how) => ends.push(how));
      socket.write('hello');
    });
    await using proxy = await backend(engine, [web(4492), behind(server.port, POD)], {});
    for (let offset = 0; offset < MESSAGE_BYTES; offset++) {
      const client = connect({ host: VIP, port: 4492 });
      await new Promise((resolve) => client.once('data', resolve));
      if (offset > 0) await new Promise<void>((resolve) => client.write('y'.repeat(offset), () => resolve()));
      client.resetAndDestroy();
    }
    await waitFor('the end of all', () => proxy.activeCount === 0, PATIENCE_MS);
    await waitFor('all resets', () => ends.length === MESSAGE_BYTES, PATIENCE_MS);
    expect(new Set(ends)).toEqual(new Set(['ECONNRESET']));
    const [counts] = await proxy.counters();
    expect(counts).toMatchObject({ connections: MESSAGE_BYTES, active: 0 });
  });

  test('a client that is gone before an endpoint answers costs nothing', async () => {
    await using proxy = await backend(engine, [web(4493), behind(9, '10.255.255.1')], {});
    const client = connect({ host: VIP, port: 4493 });
    await new Promise((resolve) => client.once('connect', resolve));
    client.resetAndDestroy();
    await waitFor('the end', () => proxy.activeCount === 0, PATIENCE_MS);
  });

  test('urgent data stops nothing that comes after it', async () => {
    let text = '';
    await using server = await listen((socket) => socket.on('data', (chunk) => (text += chunk.toString())));
    await using _proxy = await backend(engine, [web(4494), behind(server.port, POD)], {});
    const { socket: open, close } = socketCalls();
    const { connect: dial, send } = streamCalls();
    const fd = open(AF_INET, SOCK_STREAM, 0);
    const name = new Uint8Array(16);
    writeSocketAddress({ address: VIP, port: 4494 }, name);
    expect(dial(fd, name, name.length)).toBe(0);
    const arena = new Arena(16);
    arena.bytes.set(Buffer.from('ab!cd'));
    const say = (at: number, size: number, flags: number): number =>
      send(fd, arena.address(at, size), size, flags);
    say(0, 2, 0);
    say(2, 1, MSG_OOB);
    say(3, 2, 0);
    await waitFor('what comes after it', () => text.replace('!', '') === 'abcd', PATIENCE_MS);
    close(fd);
  });

  test('bytes arrive in order and whole, in bursts of any size, at readers that stop and go', async () => {
    await using server = await listen((socket) => socket.pipe(socket));
    await using proxy = await backend(engine, [web(4497), behind(server.port, POD)], {});
    const sizes = fc.array(fc.oneof(fc.nat(2_000), fc.nat(BURST_BYTES)), { minLength: 6, maxLength: BURSTS });
    const bursts = fc.sample(sizes, 6);
    await Promise.all(bursts.map(echoed));
    await waitFor('the end of all', () => proxy.activeCount === 0, PATIENCE_MS);
  });

  test('opened and disposed with connections under way, it leaves no descriptor', async () => {
    await using echo = await tcpEcho(POD, 'a');
    const once = async (): Promise<void> => {
      await using proxy = await backend(engine, [web(4495), behind(echo.port, POD)], {});
      const clients = Array.from({ length: 5 }, () => connect({ host: VIP, port: 4495 }));
      await Promise.all(clients.map((client) => new Promise((resolve) => client.once('data', resolve))));
      expect(proxy.activeCount).toBe(5);
      const ends = clients.map(closed);
      await proxy[Symbol.asyncDispose]();
      await Promise.all(ends);
    };
    await once();
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 3; i++) await once();
    await waitFor('the same as before', () => readdirSync('/proc/self/fd').length <= before, PATIENCE_MS);
  });
});

function relayThread() {
  const lines: LogRecord[] = [];
  const log = createLogger((record) => lines.push(record), 'debug');
  const options = { limits: relayLimits, proxyProtocol: undefined, node: unknownNode('IPv4') };
  const thread = new RelayThread({ clock: systemClock, log }, options);
  const said = (what: string): boolean => lines.some(({ event }) => event === what);
  const open = (key: string): number => {
    const listener = openStreamListener({ address: VIP, port: 0, backlog: 64, reusePort: false });
    thread.open({ kind: 'listener', fd: listener.fd, key, entrance: 'cluster-ip' }, listener);
    return listener.port;
  };
  return { thread, said, open };
}

describe('a relaying thread', () => {
  test('that fails is started anew; clients wait meanwhile and what it relayed is reset', async () => {
    await using echo = await tcpEcho(POD, 'a');
    const { thread, said, open } = relayThread();
    await using _thread = thread;
    thread.serve(servicePortView('good', POD, echo.port));
    const port = open('good');
    expect(await exchange(VIP, port)).toBe('a\nhello');
    const held = connect({ host: VIP, port });
    await new Promise((resolve) => held.once('data', resolve));
    const end = closed(held);
    // it cannot read the second
    thread.serve(servicePortView('bad', POD, 1));
    thread.serve({ ...servicePortView('bad', POD, 1), clusterEndpoints: undefined as never });
    await waitFor('the new thread', () => said('relay started anew'), PATIENCE_MS);
    expect(await end).not.toBe('');
    const waiting = exchange(VIP, port);
    thread.forget('bad');
    expect(await waiting).toBe('a\nhello');
    expect((await thread.ask('counts')).map(({ key }) => key)).toEqual(['good']);
  });

  test('that is stuck is noticed, ended and started anew', async () => {
    await using echo = await tcpEcho(POD, 'a');
    const { thread, said, open } = relayThread();
    await using _thread = thread;
    thread.serve(servicePortView('good', POD, echo.port));
    const port = open('good');
    expect(await exchange(VIP, port)).toBe('a\nhello');
    // a listener that blocks: the thread hangs in its second accept until another client comes
    const { socket, bind, close } = socketCalls();
    const fd = socket(AF_INET, SOCK_STREAM, 0);
    const name = new Uint8Array(16);
    writeSocketAddress({ address: VIP, port: 0 }, name);
    expect(bind(fd, name, name.length)).toBe(0);
    expect(streamCalls().listen(fd, 8)).toBe(0);
    const trap = localAddressOf(fd)!;
    const door = thread.open({ kind: 'listener', fd, key: 'good', entrance: 'cluster-ip' }, undefined);
    await thread.ask('settled');
    const victims = [connect({ host: VIP, port: trap.port })];
    for (const victim of victims) victim.on('error', () => {});
    await new Promise((resolve) => victims[0]!.once('connect', resolve));
    const waiting = exchange(VIP, port); // nobody accepts it now
    await waitFor('notice', () => said('relay stuck'), PATIENCE_MS);
    door[Symbol.dispose]();
    victims.push(connect({ host: VIP, port: trap.port }).on('error', () => {}));
    await waitFor('the new thread', () => said('relay started anew'), PATIENCE_MS);
    expect(await waiting).toBe('a\nhello');
    for (const victim of victims) victim.destroy();
    close(fd);
  });
});

test('a process out of descriptors lets clients wait, says so once, and takes them when there is room', async () => {
  await using echo = await tcpEcho(POD, 'a');
  using folder = mkdtempDisposableSync(join(tmpdir(), 'weft-fds-'));
  const path = join(folder.path, 'web.json');
  const items = [web(4496), behind(echo.port, POD)];
  writeFileSync(path, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  const flags = [
    '--proxy-mode=userspace',
    '--engine=native',
    '--metrics-bind-address=',
    '--healthz-bind-address=',
  ];
  const command = `ulimit -n 120; exec ${ROOT}bin/weft proxy --from ${path} ${flags.join(' ')}`;
  const weft = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [weft.stdout, weft.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  try {
    await waitFor('readiness', () => output.includes('ready\n'), 60_000);
    let served = 0;
    const clients = Array.from({ length: 100 }, () => {
      const client = connect({ host: VIP, port: 4496 });
      client.once('data', () => served++).on('error', () => {});
      return client;
    });
    await waitFor('the limit', () => output.includes('accept failed'), PATIENCE_MS);
    expect(output).toContain('EMFILE');
    const first = served;
    for (const client of clients.slice(0, 50)) client.destroy();
    await waitFor('those who waited', () => served > first, PATIENCE_MS);
    for (const client of clients) client.destroy();
    expect(await exchange(VIP, 4496)).toBe('a\nhello');
    expect(weft.exitCode).toBeNull();
  } finally {
    weft.kill('SIGKILL');
  }
});
