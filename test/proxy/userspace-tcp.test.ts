import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { service } from '../support/kube-objects.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { exchange, type EchoServer, ProxyWorld, tcpEcho } from './proxy-world.ts';
import { backend, behind, closed, listen, POD, VIP, web } from './userspace-world.ts';

/** Resolves when no connection is left to an endpoint that is in no slice any more. */
async function drained({ proxier }: ProxyWorld, address: string): Promise<void> {
  // dials decided before the slice changed are counted once the event loop has come round
  await new Promise((resolve) => setTimeout(resolve, 10));
  await waitFor('the last connection to end', async () => {
    const [counts] = (await proxier.backends[0]?.counters?.(AbortSignal.timeout(5_000))) ?? [];
    const endpoints = [...(counts?.endpoints ?? [])];
    return endpoints.every(([id, { active }]) => !id.startsWith(`${address}:`) || active === 0);
  });
}

describe.each(['native', 'portable'] as const)('engine %s', (engine) => {
  describe('a connection', () => {
    test('passes each half-close on, in either order', async () => {
      let heard = '';
      await using server = await listen((socket) => {
        socket.end('bye'); // ends first, and listens on
        socket.on('data', (chunk) => (heard += chunk.toString()));
      });
      await using proxy = await backend(engine, [web(4480), behind(server.port, POD)], {});
      const client = connect({ host: VIP, port: 4480, allowHalfOpen: true });
      const said = await new Promise<string>((resolve) => {
        let text = '';
        client.on('data', (chunk) => (text += chunk.toString()));
        client.on('end', () => resolve(text));
      });
      expect(said).toBe('bye');
      client.end('later');
      await waitFor('the rest', () => heard === 'later');
      await waitFor('the end', () => proxy.activeCount === 0);
    });

    test('passes a reset on as a reset', async () => {
      await using server = await listen((socket) => socket.resetAndDestroy());
      await using proxy = await backend(engine, [web(4481), behind(server.port, POD)], {});
      const client = connect({ host: VIP, port: 4481 });
      expect(await closed(client)).toBe('ECONNRESET');
      await waitFor('the end', () => proxy.activeCount === 0);
    });

    test('holds a fast sender back while the reader sleeps, and loses nothing', async () => {
      let reader: Socket | undefined;
      await using server = await listen((socket) => {
        socket.pause();
        reader = socket;
      });
      await using proxy = await backend(engine, [web(4482), behind(server.port, POD)], {});
      const client = connect({ host: VIP, port: 4482 });
      const sentBytes = 64 * 1024 * 1024;
      const chunk = Buffer.alloc(1024 * 1024, 'x');
      let written = 0;
      const pump = (): void => {
        while (written < sentBytes && client.write(chunk)) written += chunk.length;
        if (written < sentBytes) written += chunk.length;
        else client.end();
      };
      client.on('drain', pump);
      client.on('connect', pump);
      await waitFor(
        'the sender to be held for good',
        async () => {
          const before = written;
          await new Promise((resolve) => setTimeout(resolve, 300));
          return client.writableNeedDrain && written === before;
        },
        30_000,
      );
      const [counts] = await proxy.counters();
      expect(counts?.bytesIn).toBeLessThan(sentBytes);
      let readBytes = 0;
      reader?.on('data', (data) => (readBytes += data.length)).resume();
      await waitFor('all bytes', () => readBytes === written && client.writableFinished);
      expect(readBytes).toBeGreaterThanOrEqual(sentBytes);
      client.destroy();
    });

    test('announces the client by the PROXY protocol when the service asks', async () => {
      let heard = '';
      await using server = await listen((socket) => socket.on('data', (data) => (heard += data.toString())));
      const asking = web(4483);
      asking.metadata.annotations = { 'weft.dev/proxy-protocol': 'v1' };
      await using _proxy = await backend(engine, [asking, behind(server.port, POD)], {});
      const client = connect({ host: VIP, port: 4483, localAddress: '127.0.44.9' });
      client.write('hello');
      await waitFor('the header', () => heard.endsWith('hello'));
      expect(heard).toBe(`PROXY TCP4 127.0.44.9 ${VIP} ${client.localPort} 4483\r\nhello`);
      client.destroy();
    });

    test('is ended when neither side says anything for the idle time', async () => {
      await using echo = await tcpEcho(POD, 'a');
      const clock = new FakeClock();
      await using proxy = await backend(
        engine,
        [web(4484), behind(echo.port, POD)],
        { tcpIdleSeconds: 3 },
        clock,
      );
      const client = connect({ host: VIP, port: 4484 });
      await new Promise((resolve) => client.once('data', resolve));
      const end = closed(client);
      await clock.advance(2_000);
      expect(proxy.activeCount).toBe(1);
      await clock.advance(3_000);
      expect(await end).toBe('ECONNRESET');
    });
  });

  describe('dials', () => {
    test('an endpoint that never answers is left for the next at its deadline', async () => {
      await using echo = await tcpEcho(POD, 'alive');
      // a listener whose backlog is full answers no further handshake
      const full = createServer();
      await new Promise<void>((resolve) =>
        full.listen({ host: '127.244.44.2', port: echo.port, backlog: 1 }, resolve),
      );
      const limits = { dialDeadlinesMs: [300, 600, 1_200, 2_400] };
      await using proxy = await backend(engine, [web(4485), behind(echo.port, POD, '10.255.255.1')], limits);
      for (let i = 0; i < 4; i++) expect(await exchange(VIP, 4485)).toBe('alive\nhello');
      const [counts] = await proxy.counters();
      expect(counts?.endpoints.get(`10.255.255.1:${echo.port}`)?.failed ?? 0).toBeLessThanOrEqual(1);
      await new Promise((resolve) => full.close(resolve));
    });

    test('when no endpoint answers the client is reset, and counted', async () => {
      await using proxy = await backend(engine, [web(4486), behind(9, POD)], {});
      const client = connect({ host: VIP, port: 4486 });
      expect(await closed(client)).toBe('ECONNRESET');
      const [counts] = await proxy.counters();
      expect(counts).toMatchObject({ connections: 1, active: 0, failed: 1 });
    });
  });

  describe('refusals', () => {
    test('at the session limit the next client is reset, the others go on', async () => {
      await using echo = await tcpEcho(POD, 'a');
      await using proxy = await backend(engine, [web(4487), behind(echo.port, POD)], { tcpSessionsMax: 1 });
      const first = connect({ host: VIP, port: 4487 });
      await new Promise((resolve) => first.once('data', resolve));
      expect(await closed(connect({ host: VIP, port: 4487 }))).toBe('ECONNRESET');
      const [counts] = await proxy.counters();
      expect(counts).toMatchObject({ connections: 1, refused: 1 });
      first.destroy();
    });

    test('source ranges hold for load balancer addresses and not for the cluster IP', async () => {
      await using echo = await tcpEcho(POD, 'a');
      const balanced = service(
        'shop/web',
        {
          type: 'LoadBalancer',
          clusterIP: VIP,
          ports: [{ name: 'main', port: 4488 }],
          loadBalancerSourceRanges: ['127.0.44.0/24'],
        },
        ['127.97.44.1'],
      );
      await using _proxy = await backend(engine, [balanced, behind(echo.port, POD)], {});
      expect(await exchange('127.97.44.1', 4488, 'hi', '127.0.44.7')).toBe('a\nhi');
      await expect(exchange('127.97.44.1', 4488, 'hi', '127.0.45.7')).rejects.toMatchObject({
        code: 'ECONNRESET',
      });
      expect(await exchange(VIP, 4488, 'hi', '127.0.45.7')).toBe('a\nhi');
    });
  });

  test('endpoints that come and go cost no connection', async () => {
    await using a = await tcpEcho('127.244.44.11', 'a');
    const ips = [a.address];
    const servers: EchoServer[] = [];
    for (let i = 12; i < 16; i++) {
      servers.push(await tcpEcho(`127.244.44.${i}`, String(i), a.port));
      ips.push(`127.244.44.${i}`);
    }
    await using world = await ProxyWorld.open([web(4489), behind(a.port, ...ips)], { engine });
    const churn = { over: false, done: 0 };
    const clients = Array.from({ length: 8 }, async () => {
      while (!churn.over) {
        expect(await exchange(VIP, 4489)).toMatch(/\nhello$/);
        churn.done++;
      }
    });
    for (let i = 0; i < 100; i++) {
      // one endpoint always stays; the others leave the slice in turns
      const victim = servers[i % servers.length]!;
      const left = ips.filter((ip) => ip !== victim.address);
      await world.apply(behind(a.port, ...(i % 2 ? ips : left)));
      // the first one, now and then, is listed while nobody listens there
      if (i % 20 === 0)
        await drained(world, servers[0]!.address).then(() => servers[0]![Symbol.asyncDispose]());
      if (i % 20 === 15) servers[0] = await tcpEcho(servers[0]!.address, 'again', a.port);
      await new Promise((resolve) => setTimeout(resolve, 5)); // 200 changes a second
    }
    churn.over = true;
    await Promise.all(clients);
    expect(churn.done).toBeGreaterThan(100);
    for (const server of servers) await server[Symbol.asyncDispose]();
  });

  test('stopping waits for open connections until the deadline, then cuts them', async () => {
    await using echo = await tcpEcho(POD, 'a');
    const world = await ProxyWorld.open([web(4490), behind(echo.port, POD)], {
      drainDeadlineMs: 200,
      engine,
    });
    const client = connect({ host: VIP, port: 4490 });
    await new Promise((resolve) => client.once('data', resolve));
    const end = closed(client);
    const stopped = world[Symbol.asyncDispose]();
    await waitFor('the door to close', () =>
      exchange(VIP, 4490).then(
        () => false,
        () => true,
      ),
    );
    client.write('still served');
    expect(await end).toBe('ECONNRESET');
    await stopped;
  });
});
