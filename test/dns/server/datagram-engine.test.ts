import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { zoneCounts } from '../../../dns/cluster/table/answer-counts.ts';
import type { FastPath } from '../../../dns/server/datagram-engine.ts';
import { TablePath } from '../../../dns/server/fast-path.ts';
import { nativeDatagram } from '../../../dns/server/native/native-datagram.ts';
import { SlowRing, slowRingMemory } from '../../../dns/server/native/slow-ring.ts';
import { openPortableDatagram } from '../../../dns/server/portable-datagram.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { createLogger, type LogRecord, silentLogger } from '../../../src/base/log.ts';
import { Arena } from '../../../src/net/native/arena.ts';
import { PEER_BYTES } from '../../../src/net/native/datagram-batch.ts';
import { datagramEngineSuite, type DatagramEngineFixture } from '../../suites/datagram-engine.ts';
import { waitFor } from '../../support/wait-for.ts';
import { clusterOf } from '../support/cluster.ts';
import { openServer, questionOf, type TestServer } from '../support/server.ts';

const CLUSTER = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'shop', name: 'web' },
    spec: { clusterIP: '10.96.0.7', ports: [{ port: 80 }] },
  },
];
const QUESTION = encodeMessage(questionOf('web.shop.svc.cluster.local A'));
const deps = { clock: systemClock, log: silentLogger };

let holder: TestServer;
beforeAll(async () => {
  holder = await openServer('. {\n kubernetes cluster.local\n}', { cluster: clusterOf(CLUSTER) });
});
afterAll(() => holder[Symbol.asyncDispose]());

function tablePath(): ReturnType<DatagramEngineFixture['tablePath']> {
  const plugin = holder.server.plugins.find(({ name }) => name === 'kubernetes');
  const names = plugin!.compiled!({ ownsZone: () => true, foreignZones: [], rotate: false })!;
  const path = new TablePath(
    deps,
    {
      listener: 'dns://:53',
      proto: 'udp',
      block: {} as never,
      cookieSecret: new Uint8Array(16),
      watchers: [],
    },
    names,
  );
  return { path, question: QUESTION, counted: () => zoneCounts(path.sample.words(), 0).positive };
}

const named = { tablePath };
datagramEngineSuite({ ...named, name: 'portable', answersFromAsked: false, open: openPortableDatagram });
for (const receivers of [1, 3]) {
  const open = nativeDatagram(deps, { receivers });
  datagramEngineSuite({ ...named, name: `native, ${receivers} receivers`, answersFromAsked: true, open });
}

describe('the native engine', () => {
  it('starts a receiver anew that fails, and loses only what it was answering', async () => {
    const logs: LogRecord[] = [];
    const log = createLogger((line) => logs.push(line), 'info');
    const open = nativeDatagram({ clock: systemClock, log }, { receivers: 1 });
    await using engine = await open({ address: '127.0.0.1', port: 0 }, (bytes, _client, reply) =>
      reply(bytes),
    );
    const { path } = tablePath();
    const zones = [undefined] as never; // a table no thread can read
    const broken: FastPath = {
      answer: () => 0,
      settle: () => {},
      cookieSecret: path.cookieSecret,
      names: { ...path.names, options: { ...path.names.options, zones } },
      countsMemory: () => path.countsMemory(),
      watchedAnswers: () => undefined,
    };
    engine.useFastPath(broken);
    const client = createSocket('udp4');
    client.send(QUESTION, engine.address.port, '127.0.0.1');
    await waitFor('the failure', () => logs.some(({ event }) => event === 'dns receiver started anew'));
    engine.useFastPath(undefined);
    const answer = once(client, 'message');
    await waitFor(
      'an answer',
      async () => {
        client.send(QUESTION, engine.address.port, '127.0.0.1');
        return await Promise.race([
          answer,
          new Promise<false>((resolve) => setTimeout(() => resolve(false), 100)),
        ]);
      },
      20_000,
    );
    client.close();
  });

  it('binds its threads to processors', async () => {
    const allowed = /Cpus_allowed_list:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]!;
    const open = nativeDatagram(deps, { receivers: 2, cpus: [Number(allowed)] });
    const bound = (): number =>
      readdirSync('/proc/self/task').filter((id) =>
        new RegExp(`Cpus_allowed_list:\\s*${allowed}\n`).test(
          readFileSync(`/proc/self/task/${id}/status`, 'utf8'),
        ),
      ).length;
    const before = bound();
    await using _engine = await open({ address: '127.0.0.1', port: 0 }, () => {});
    expect(bound() - before).toBeGreaterThanOrEqual(2);
  });

  it('answers without the processor that is not to be had, and says so', async () => {
    const logs: LogRecord[] = [];
    const log = createLogger((line) => logs.push(line), 'info');
    const open = nativeDatagram({ clock: systemClock, log }, { receivers: 1, cpus: [1023] });
    await using engine = await open({ address: '127.0.0.1', port: 0 }, (bytes, _client, reply) =>
      reply(bytes),
    );
    const client = createSocket('udp4');
    const answer = once(client, 'message');
    client.send('x', engine.address.port, '127.0.0.1');
    await answer;
    client.close();
    expect(logs.map(({ event }) => event)).toContain('dns receiver not bound to its processor');
  });

  it('starts a receiver anew that is stuck', async () => {
    const logs: LogRecord[] = [];
    const log = createLogger((line) => logs.push(line), 'info');
    const open = nativeDatagram({ clock: systemClock, log }, { receivers: 1 });
    await using engine = await open({ address: '127.0.0.1', port: 0 }, (bytes, _client, reply) =>
      reply(bytes),
    );
    const { path } = tablePath();
    const { control, ids, arena, index } = path.names.table.buffers;
    // No slot of this index is free: a search in it never ends.
    const full = new Int32Array(new SharedArrayBuffer(index.byteLength)).fill(-1);
    const endless = {
      buffers: { control, ids, arena, index: full },
      onBuffers: () => ({ [Symbol.dispose]() {} }),
    };
    engine.useFastPath({
      answer: () => 0,
      settle: () => {},
      cookieSecret: path.cookieSecret,
      names: { options: path.names.options, table: endless as never },
      countsMemory: () => path.countsMemory(),
      watchedAnswers: () => undefined,
    });
    const client = createSocket('udp4');
    await new Promise<void>((resolve) => {
      client.send(QUESTION, engine.address.port, '127.0.0.1', () => resolve());
    });
    const anew = (): boolean => logs.some(({ event }) => event === 'dns receiver started anew');
    await waitFor('the stuck receiver to be noticed', anew);
    engine.useFastPath(path);
    const answer = once(client, 'message');
    await waitFor(
      'an answer',
      async () => {
        client.send(QUESTION, engine.address.port, '127.0.0.1');
        const later = new Promise<false>((resolve) => setTimeout(() => resolve(false), 200));
        return await Promise.race([answer, later]);
      },
      30_000,
    );
    client.close();
  });

  it('follows a table that grows while it is asked', async () => {
    const cluster = clusterOf(CLUSTER);
    const open = nativeDatagram(deps, { receivers: 1 });
    await using on = await openServer('. {\n kubernetes cluster.local\n}', { cluster, openDatagram: open });
    const client = createSocket('udp4');
    for (let i = 0; i < 2000; i++) {
      const metadata = { namespace: 'shop', name: `s${i}`, resourceVersion: `${i + 10}` };
      const spec = { clusterIP: `10.97.${i >> 8}.${i & 255}`, ports: [{ port: 80 }] };
      const service = { apiVersion: 'v1', kind: 'Service', metadata, spec };
      cluster.upsert(service);
      if (i % 50 > 0) continue;
      cluster.flush();
      const answer = once(client, 'message') as Promise<[Buffer]>;
      client.send(encodeMessage(questionOf(`s${i}.shop.svc.cluster.local A`)), on.udp.port, '127.0.0.1');
      const [bytes] = await answer;
      expect([...bytes.subarray(-4)]).toEqual([10, 97, i >> 8, i & 255]);
    }
    client.close();
  });
});

describe('the ring to the slow path', () => {
  const SLOTS = 8;
  const peerOf = (seed: number) => (into: Uint8Array) => into.fill(seed & 255, 0, PEER_BYTES);

  it('keeps the order, and when full sheds the oldest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constant('drain' as const), fc.nat(20)), { maxLength: 60 }),
        (steps) => {
          const memory = slowRingMemory(SLOTS, 32);
          const [writer, reader] = [new SlowRing(memory), new SlowRing(memory)];
          let model: number[] = [];
          let next = 0;
          for (const step of steps) {
            if (step !== 'drain') {
              writer.push(Uint8Array.of(next & 255, step), 2, peerOf(next));
              model = [...model, next++].slice(-SLOTS);
              continue;
            }
            const taken: number[][] = [];
            while (reader.drain(3, (bytes, peer) => taken.push([bytes[0]!, peer[0]!, bytes.length])));
            expect(taken).toEqual(model.map((one) => [one & 255, one & 255, 2]));
            model = [];
          }
          expect(reader.shed).toBe(writer.shed);
        },
      ),
    );
  });

  it('wakes the reader once for all that waits', () => {
    const ring = new SlowRing(slowRingMemory(SLOTS, 32));
    expect(ring.push(Uint8Array.of(1), 1, peerOf(1))).toBe(true);
    expect(ring.push(Uint8Array.of(2), 1, peerOf(2))).toBe(false);
    expect(ring.drain(1, () => {})).toBe(true);
    expect(ring.push(Uint8Array.of(3), 1, peerOf(3))).toBe(true);
  });
});

describe('the arena', () => {
  it('hands out no address outside itself', () => {
    const arena = new Arena(64);
    expect(arena.address(48, 16) - arena.address(0, 1)).toBe(48);
    for (const [offset, size] of [
      [0, 65],
      [-1, 1],
      [64, 1],
      [0, -1],
    ] as const)
      expect(() => arena.address(offset, size)).toThrow(/outside/);
    arena.allocate(50);
    expect(() => arena.allocate(1)).toThrow(/do not fit/);
  });
});
