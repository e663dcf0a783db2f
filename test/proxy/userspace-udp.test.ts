import { createSocket, type Socket } from 'node:dgram';
import { readdirSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { service, slice } from '../support/kube-objects.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { ask, type EchoServer, ProxyWorld, udpEcho } from './proxy-world.ts';
import { backend, POD, VIP } from './userspace-world.ts';

/** A busy machine is slow, not wrong. */
const PATIENCE_MS = 60_000;
vi.setConfig({ testTimeout: 2 * PATIENCE_MS });

const dns = (port: number, more = {}) =>
  service('shop/dns', { clusterIP: VIP, ports: [{ name: 'main', port, protocol: 'UDP' }], ...more });
const behindDns = (...servers: readonly Pick<EchoServer, 'address' | 'port'>[]) =>
  slice('shop/dns-1', 'dns', {
    ports: { 'main/UDP': servers[0]?.port ?? 0 },
    endpoints: servers.map(({ address }) => ({ ip: address })),
  });

/** A client that keeps its port, and all that it heard. */
class Client implements AsyncDisposable {
  readonly heard: Buffer[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (datagram) => this.heard.push(datagram)).on('error', () => {});
  }

  static async open(address = '127.0.44.1'): Promise<Client> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1_000_000 });
    await new Promise<void>((resolve) => socket.bind(0, address, resolve));
    return new Client(socket);
  }

  say(text: string | Buffer, port: number, address = VIP): void {
    this.#socket.send(text, port, address);
  }

  /** Asks again while nothing fitting comes: datagrams may be lost, and an endpoint may have to be given up first. */
  async answer(text: string, port: number, address = VIP): Promise<string> {
    const before = this.heard.length;
    return await waitFor(
      `an answer to ${text}`,
      async () => {
        this.say(text, port, address);
        await new Promise((resolve) => setTimeout(resolve, 50));
        return this.heard
          .slice(before)
          .map(String)
          .find((heard) => heard.endsWith(text));
      },
      PATIENCE_MS,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}

describe.each(['native', 'portable'] as const)('UDP, engine %s', (engine) => {
  test('each client gets its own answers, and all is counted by port and endpoint', async () => {
    await using echo = await udpEcho(POD, 'a');
    await using proxy = await backend(engine, [dns(4500), behindDns(echo)], {});
    const clients = await Promise.all(Array.from({ length: 20 }, () => Client.open()));
    for (const [i, client] of clients.entries())
      for (const word of ['x', 'y']) client.say(`${word}${i}`, 4500);
    await waitFor('all answers', () => clients.every(({ heard }) => heard.length === 2), PATIENCE_MS);
    for (const [i, { heard }] of clients.entries()) expect(heard.map(String)).toEqual([`a:x${i}`, `a:y${i}`]);
    const [counts] = await proxy.counters();
    const bytesIn = clients.flatMap((_client, i) => [`x${i}`, `y${i}`]).join('').length;
    const traffic = { connections: 20, active: 20, bytesIn, bytesOut: bytesIn + 2 * 2 * 20, failed: 0 };
    expect(counts).toMatchObject({ ...traffic, refused: 0 });
    expect(counts?.endpoints.get(`${POD}:${echo.port}`)).toEqual(traffic);
    expect(proxy.activeCount).toBe(20);
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  test('datagrams of every size pass whole, empty ones too', async () => {
    await using echo = await udpEcho(POD, '');
    await using _proxy = await backend(engine, [dns(4501), behindDns(echo)], {});
    await using client = await Client.open();
    for (const size of [0, 1, 512, 1_472, 9_000, 65_000]) {
      const datagram = 'd'.repeat(size);
      expect(await client.answer(datagram, 4501)).toBe(`:${datagram}`);
    }
  });

  test('a burst of one client keeps its order', async () => {
    await using echo = await udpEcho(POD, '');
    await using _proxy = await backend(engine, [dns(4502), behindDns(echo)], {});
    await using client = await Client.open();
    const words = Array.from({ length: 100 }, (_word, i) => String(i));
    for (const word of words) client.say(word, 4502);
    await waitFor('all answers', () => client.heard.length === words.length, PATIENCE_MS);
    expect(client.heard.map(String)).toEqual(words.map((word) => `:${word}`));
  });

  test('an endpoint whose host says that nobody listens is left for another', async () => {
    await using alive = await udpEcho(POD, 'alive');
    const dead = { address: '127.244.44.9', port: alive.port };
    await using proxy = await backend(engine, [dns(4503), behindDns(alive, dead)], {});
    for (let i = 0; i < 4; i++) {
      await using client = await Client.open();
      expect(await client.answer(`q${i}`, 4503)).toBe(`alive:q${i}`);
    }
    const [counts] = await proxy.counters();
    expect(counts?.endpoints.get(`${dead.address}:${dead.port}`)).toMatchObject({ active: 0, bytesOut: 0 });
    expect(counts?.endpoints.get(`${dead.address}:${dead.port}`)?.failed).toBeGreaterThan(0);
  });

  test('a flow without a datagram for the idle time ends; the next datagram starts another', async () => {
    await using echo = await udpEcho(POD, 'a');
    const clock = new FakeClock();
    await using proxy = await backend(engine, [dns(4504), behindDns(echo)], { udpIdleSeconds: 3 }, clock);
    await using client = await Client.open();
    expect(await client.answer('one', 4504)).toBe('a:one');
    await clock.advance(2_000);
    expect(proxy.activeCount).toBe(1);
    await clock.advance(4_000);
    await waitFor('the end', () => proxy.activeCount === 0, PATIENCE_MS);
    expect(await client.answer('two', 4504)).toBe('a:two');
    expect((await proxy.counters())[0]).toMatchObject({ connections: 2, active: 1 });
  });

  test('at the limit of flows the one that lay idle makes room', async () => {
    await using echo = await udpEcho(POD, 'a');
    await using proxy = await backend(engine, [dns(4505), behindDns(echo)], { udpSessionsMax: 2 });
    const clients = await Promise.all(Array.from({ length: 5 }, () => Client.open()));
    for (const round of ['x', 'y'])
      for (const client of clients) expect(await client.answer(round, 4505)).toBe(`a:${round}`);
    expect(proxy.activeCount).toBe(2);
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  test('ClientIP affinity holds for all flows of an address', async () => {
    await using a = await udpEcho('127.244.44.21', 'a');
    await using b = await udpEcho('127.244.44.22', 'b', a.port);
    const sticky = { sessionAffinity: 'ClientIP' } as const;
    await using _proxy = await backend(engine, [dns(4506, sticky), behindDns(a, b)], {});
    const seen = new Map<string, Set<string>>();
    for (let i = 0; i < 12; i++) {
      const from = `127.0.44.${(i % 3) + 1}`;
      await using client = await Client.open(from);
      const answers = seen.get(from) ?? seen.set(from, new Set()).get(from)!;
      answers.add(await client.answer('x', 4506));
    }
    expect([...seen.values()].map(({ size }) => size)).toEqual([1, 1, 1]);
  });

  test('who is outside the source ranges hears nothing, and is counted', async () => {
    await using echo = await udpEcho(POD, 'a');
    const balanced = service(
      'shop/dns',
      {
        type: 'LoadBalancer',
        clusterIP: VIP,
        ports: [{ name: 'main', port: 4507, protocol: 'UDP' }],
        loadBalancerSourceRanges: ['127.0.44.0/24'],
      },
      ['127.97.44.2'],
    );
    await using proxy = await backend(engine, [balanced, behindDns(echo)], {});
    await using outside = await Client.open('127.0.45.1');
    outside.say('let me in', 4507, '127.97.44.2');
    await using client = await Client.open();
    expect(await client.answer('x', 4507, '127.97.44.2')).toBe('a:x');
    await waitFor('the count', async () => (await proxy.counters())[0]?.refused === 1, PATIENCE_MS);
    expect(outside.heard).toEqual([]);
  });

  test('a service that goes takes its flows along, and leaves its address to others', async () => {
    await using echo = await udpEcho(POD, 'a');
    await using world = await ProxyWorld.open([dns(4508), behindDns(echo)], { engine });
    const count = (): number => world.proxier.backends[0]?.activeCount ?? 0;
    await using client = await Client.open();
    expect(await client.answer('x', 4508)).toBe('a:x');
    expect(count()).toBe(1);
    await world.remove(dns(4508));
    expect(count()).toBe(0);
    await using taken = await udpEcho(VIP, 'other', 4508);
    expect(taken.port).toBe(4508);
    expect(await client.answer('y', 4508)).toBe('other:y');
    await world.apply(dns(4508));
    expect(world.proxier.status.current.value.refused[0]?.reason).toContain('another process listens there');
  });

  test('IPv6 answers leave from the address that was asked', async () => {
    await using echo = await udpEcho('::1', 'six');
    await using _world = await ProxyWorld.open(
      [
        service('shop/dns', { clusterIP: '::1', ports: [{ name: 'main', port: 4509, protocol: 'UDP' }] }),
        slice('shop/dns-1', 'dns', {
          addressType: 'IPv6',
          ports: { 'main/UDP': echo.port },
          endpoints: [{ ip: '::1' }],
        }),
      ],
      { engine },
    );
    expect(await ask('::1', 4509, 'x', PATIENCE_MS)).toBe('six:x');
  });

  test('opened and disposed with flows under way, it leaves no descriptor', async () => {
    await using echo = await udpEcho(POD, 'a');
    const once = async (): Promise<void> => {
      await using _proxy = await backend(engine, [dns(4510), behindDns(echo)], {});
      for (let i = 0; i < 3; i++) {
        await using client = await Client.open();
        expect(await client.answer('x', 4510)).toBe('a:x');
      }
    };
    await once();
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 3; i++) await once();
    await waitFor('the same as before', () => readdirSync('/proc/self/fd').length <= before, PATIENCE_MS);
  });
});
