import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { service, slice } from '../support/kube-objects.ts';
import { ask, exchange, ProxyWorld, tcpEcho, udpEcho, type EchoServer } from './proxy-world.ts';

const VIP = '127.96.41.10';

function echoSlice(key: string, owner: string, servers: readonly EchoServer[], protocol = 'TCP') {
  return slice(key, owner, {
    ports: { [`main/${protocol}`]: servers[0]?.port ?? 0 },
    endpoints: servers.map(({ address }) => ({ ip: address, nodeName: 'alpha' })),
  });
}

describe.each(['native', 'portable'] as const)('engine %s', (engine) => {
  test('a cluster IP on loopback takes turns over its endpoints and keeps half-close', async () => {
    await using a = await tcpEcho('127.244.41.1', 'a');
    await using b = await tcpEcho('127.244.41.2', 'b', a.port);
    await using world = await ProxyWorld.open(
      [
        service('shop/web', { clusterIP: VIP, ports: [{ name: 'main', port: 4180 }] }),
        echoSlice('shop/web-1', 'web', [a, b]),
      ],
      { engine },
    );
    expect(world.proxier.status.current.value.refused).toEqual([]);
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await exchange(VIP, 4180));
    expect(answers.sort()).toEqual(['a\nhello', 'a\nhello', 'b\nhello', 'b\nhello']);
  });

  test('without endpoints the address refuses; with one it serves; without again it refuses', async () => {
    await using a = await tcpEcho('127.244.41.1', 'a');
    const web = service('shop/web', { clusterIP: VIP, ports: [{ name: 'main', port: 4181 }] });
    await using world = await ProxyWorld.open([web], { engine });
    await expect(exchange(VIP, 4181)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await world.apply(echoSlice('shop/web-1', 'web', [a]));
    expect(await exchange(VIP, 4181)).toBe('a\nhello');
    await world.remove(echoSlice('shop/web-1', 'web', [a]));
    await expect(exchange(VIP, 4181)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('node ports answer on loopback and leave with the service', async () => {
    await using a = await tcpEcho('127.244.41.1', 'a');
    const web = service('shop/web', {
      type: 'NodePort',
      clusterIP: VIP,
      ports: [{ name: 'main', port: 4182, nodePort: 31182 }],
    });
    await using world = await ProxyWorld.open([web, echoSlice('shop/web-1', 'web', [a])], { engine });
    expect(await exchange('127.0.0.1', 31182)).toBe('a\nhello');
    await world.remove(web);
    await expect(exchange('127.0.0.1', 31182)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('UDP answers come from the service address, and a flow moves when its endpoint goes', async () => {
    await using a = await udpEcho('127.244.41.1', 'a');
    await using b = await udpEcho('127.244.41.2', 'b', a.port);
    await using world = await ProxyWorld.open(
      [
        service('shop/dns', { clusterIP: VIP, ports: [{ name: 'main', port: 4183, protocol: 'UDP' }] }),
        echoSlice('shop/dns-1', 'dns', [a], 'UDP'),
      ],
      { engine },
    );
    expect(await ask(VIP, 4183, 'x')).toBe('a:x');
    await world.apply(echoSlice('shop/dns-1', 'dns', [b], 'UDP'));
    expect(await ask(VIP, 4183, 'y')).toBe('b:y');
  });

  test('an endpoint that refuses costs the client nothing', async () => {
    await using alive = await tcpEcho('127.244.41.1', 'alive');
    const servers = [alive, { ...alive, address: '127.244.41.9' }];
    await using world = await ProxyWorld.open(
      [
        service('shop/web', { clusterIP: VIP, ports: [{ name: 'main', port: 4184 }] }),
        echoSlice('shop/web-1', 'web', servers),
      ],
      { engine },
    );
    for (let i = 0; i < 6; i++) expect(await exchange(VIP, 4184)).toBe('alive\nhello');
    expect(world.proxier.backends).toHaveLength(2);
  });

  test('a TCP connection outlives the removal of its endpoint and of its service', async () => {
    await using a = await tcpEcho('127.244.41.1', 'a');
    const web = service('shop/web', { clusterIP: VIP, ports: [{ name: 'main', port: 4185 }] });
    const behind = echoSlice('shop/web-1', 'web', [a]);
    await using world = await ProxyWorld.open([web, behind], { engine });
    const socket = connect({ host: VIP, port: 4185 });
    const heard = (): Promise<string> =>
      new Promise((resolve) => socket.once('data', (chunk) => resolve(chunk.toString())));
    expect(await heard()).toBe('a\n');
    await world.remove(behind, web);
    socket.write('still here');
    expect(await heard()).toBe('still here');
    socket.destroy();
  });

  test('SCTP and taken addresses are refused with a reason; the rest goes on', async () => {
    await using a = await tcpEcho('127.244.41.1', 'a');
    await using other = await tcpEcho(VIP, 'other', 4186);
    expect(other.port).toBe(4186);
    await using world = await ProxyWorld.open(
      [
        service('shop/web', {
          clusterIP: VIP,
          ports: [
            { name: 'main', port: 4186 },
            { name: 'sig', port: 4187, protocol: 'SCTP' },
          ],
        }),
        service('shop/ok', { clusterIP: '127.96.41.11', ports: [{ name: 'main', port: 4186 }] }),
        echoSlice('shop/web-1', 'web', [a]),
        echoSlice('shop/ok-1', 'ok', [a]),
      ],
      { engine },
    );
    const { refused } = world.proxier.status.current.value;
    expect(refused.map(({ key }) => key)).toEqual(['shop/web:main/TCP', 'shop/web:sig/SCTP']);
    expect(refused[0]?.reason).toContain('another process listens there');
    expect(refused[1]?.reason).toContain('SCTP');
    expect(await exchange('127.96.41.11', 4186)).toBe('a\nhello');
  });
});
