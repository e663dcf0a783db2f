import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { decodeBgp, messageLength } from '../../../proxy/announce/bgp/decode.ts';
import { encodeBgp } from '../../../proxy/announce/bgp/encode.ts';
import type { BgpMessage, OpenMessage } from '../../../proxy/announce/bgp/message.ts';
import { BgpSession, type SessionOptions } from '../../../proxy/announce/bgp/session.ts';
import { Table } from '../../../proxy/announce/bgp/table.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { type Cidr, formatCidr, parseCidr } from '../../../src/net/cidr.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';

const ROUTER = '127.0.47.1';

/** A router that says what the test tells it to, and remembers what it heard. */
class Router implements AsyncDisposable {
  readonly heard: BgpMessage[] = [];
  readonly #server = createServer((socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  connections = 0;
  #left: Buffer = Buffer.alloc(0);

  async open(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, ROUTER, resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  get isAlone(): boolean {
    return this.#sockets.size === 0;
  }

  say(message: BgpMessage): void {
    this.sayBytes(encodeBgp(message, { fourByteAs: true }));
  }

  sayBytes(bytes: Uint8Array): void {
    for (const socket of this.#sockets) socket.write(bytes);
  }

  /** Resolves when the newest message heard is of this type. */
  async until(type: BgpMessage['type']): Promise<BgpMessage> {
    return await waitFor(type, () => this.heard.find((message) => message.type === type));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    this.connections++;
    this.#left = Buffer.alloc(0);
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      this.#left = Buffer.concat([this.#left, chunk]);
      for (;;) {
        const length = messageLength(this.#left);
        if (!length || 'fault' in length || this.#left.length < length.value) return;
        const decoded = decodeBgp(this.#left.subarray(0, length.value), { fourByteAs: true });
        this.#left = this.#left.subarray(length.value);
        if ('value' in decoded) this.heard.push(decoded.value);
      }
    });
  }
}

const OPEN: OpenMessage = {
  type: 'open',
  autonomousSystem: 64_512,
  holdSeconds: 30,
  routerId: '192.0.2.1',
  capabilities: {
    families: ['IPv4', 'IPv6'],
    fourByteAs: true,
    routeRefresh: true,
    gracefulRestart: undefined,
  },
};

function prefixes(...texts: readonly string[]): ReadonlyMap<string, Cidr> {
  return new Map(texts.flatMap((text) => (parseCidr(text) ? [[text, parseCidr(text)!]] : [])));
}

interface Played extends AsyncDisposable {
  readonly router: Router;
  readonly session: BgpSession;
  readonly clock: FakeClock;
  readonly warnings: string[];
}

async function play(options: Partial<SessionOptions> = {}): Promise<Played> {
  const router = new Router();
  const port = await router.open();
  const clock = new FakeClock();
  const warnings: string[] = [];
  const warn = (_event: string, fields?: Readonly<Record<string, unknown>>): void =>
    void warnings.push(String(fields?.['reason']));
  const log = { ...silentLogger, warn, with: () => log };
  const session = new BgpSession(
    { clock, log, random: () => 0, onState: () => {} },
    {
      autonomousSystem: 64_513,
      routerId: '192.0.2.11',
      peer: { address: ROUTER, port, autonomousSystem: 64_512 },
      holdSeconds: 90,
      restartSeconds: 120,
      keepsForwarding: true,
      nextHops: { IPv6: 'fd00::11' },
      communities: [],
      ...options,
    },
  );
  return {
    router,
    session,
    clock,
    warnings,
    async [Symbol.asyncDispose]() {
      session[Symbol.dispose]();
      await router[Symbol.asyncDispose]();
    },
  };
}

async function establish({ router, session }: Played): Promise<void> {
  await router.until('open');
  router.say(OPEN);
  await router.until('keepalive');
  router.say({ type: 'keepalive' });
  await waitFor('the session', () => session.state === 'established');
}

function announced(router: Router): string[] {
  return router.heard.flatMap((message) =>
    message.type === 'update' ? message.announced.map((prefix) => formatCidr(prefix)) : [],
  );
}

describe('a session', () => {
  test('tells all, then what differs, each family by its own next hop', async () => {
    await using played = await play();
    const { router, session } = played;
    session.announce(prefixes('203.0.113.1/32', 'fd00:b9::1/128'));
    await establish(played);
    const updates = await waitFor('the routes and their ends', () => {
      const all = router.heard.filter((message) => message.type === 'update');
      return all.length === 4 && all;
    });
    expect(updates.map(({ path }) => path?.nextHop)).toEqual(['127.0.0.1', 'fd00::11', undefined, undefined]);
    expect(updates.map(({ endOf }) => endOf)).toEqual([undefined, undefined, 'IPv4', 'IPv6']);
    expect(updates[0]?.path).toMatchObject({ asPath: [64_513], localPreference: undefined });
    router.heard.length = 0;
    session.announce(prefixes('203.0.113.2/32', 'fd00:b9::1/128'));
    const update = await waitFor('the change', () => router.heard.length >= 2 && router.heard);
    const changes = update.filter((message) => message.type === 'update');
    expect(changes.flatMap(({ withdrawn }) => withdrawn.map((each) => formatCidr(each)))).toEqual([
      '203.0.113.1/32',
    ]);
    expect(announced(router)).toEqual(['203.0.113.2/32']);
  });

  test('says all again when asked (route refresh)', async () => {
    await using played = await play();
    played.session.announce(prefixes('203.0.113.1/32', 'fd00:b9::1/128'));
    await establish(played);
    await waitFor('the routes', () => announced(played.router).length === 2);
    played.router.say({ type: 'route-refresh', family: 'IPv6' });
    await waitFor('the route again', () => announced(played.router).length === 3);
    expect(announced(played.router).at(-1)).toBe('fd00:b9::1/128');
  });

  test('within one autonomous system the path is empty and the preference said', async () => {
    const peer = { autonomousSystem: 64_512 };
    await using played = await play(peer);
    played.session.announce(prefixes('203.0.113.1/32'));
    await establish(played);
    const update = await waitFor('the route', () =>
      played.router.heard.find((message) => message.type === 'update' && message.path),
    );
    expect(update).toMatchObject({ path: { asPath: [], localPreference: 100 } });
  });

  test('keeps alive at a third of the smaller hold time, ends when the peer is silent', async () => {
    await using played = await play();
    await establish(played);
    const keepalives = (): number => played.router.heard.filter(({ type }) => type === 'keepalive').length;
    const before = keepalives();
    await played.clock.advance(10_000);
    await waitFor('a keepalive', () => keepalives() === before + 1);
    await played.clock.advance(21_000);
    const goodbye = await played.router.until('notification');
    expect(goodbye).toMatchObject({ code: 4 });
    expect(played.warnings).toEqual(['nothing heard for 30 s']);
  });

  test('calls again after a failure', async () => {
    await using played = await play();
    await establish(played);
    played.router.say({ type: 'notification', code: 6, subcode: 4, data: new Uint8Array(0) });
    await waitFor('the end', () => played.session.state === 'idle');
    expect(played.warnings).toEqual(['the peer says: cease: administrative reset']);
    await played.clock.advance(1_000);
    await waitFor('the next call', () => played.router.connections === 2);
  });

  test('a peer of another autonomous system is refused', async () => {
    await using played = await play();
    await played.router.until('open');
    played.router.say({ ...OPEN, autonomousSystem: 65_000 });
    expect(await played.router.until('notification')).toMatchObject({ code: 2, subcode: 2 });
    expect(played.warnings).toEqual(['the peer is in AS 65000, not 64512']);
  });

  test.each([
    ['garbage', new Uint8Array(40).fill(7), 1],
    ['a message before its time', encodeBgp({ type: 'keepalive' }, { fourByteAs: true }), 5],
  ])('%s ends it with the protocol’s own word', async (_name, bytes, code) => {
    await using played = await play();
    await played.router.until('open');
    played.router.sayBytes(bytes);
    expect(await played.router.until('notification')).toMatchObject({ code });
  });

  test.each([
    ['sockets serve no more: the peer is told', false, ['notification']],
    ['the kernel goes on: the connection just closes', true, []],
  ])('at the end, %s', async (_name, keepsForwarding, expected) => {
    const played = await play({ keepsForwarding });
    await establish(played);
    played.session[Symbol.dispose]();
    await waitFor('the close', () => played.router.isAlone);
    await played.router[Symbol.asyncDispose]();
    const goodbyes = played.router.heard.filter(({ type }) => type === 'notification');
    expect(goodbyes.map(({ type }) => type)).toEqual(expected);
  });
});

test('many prefixes go in many messages, none above the size limit', () => {
  const table = new Table({
    nextHops: new Map([['IPv6', 'fd00::11']]),
    asPath: [64_513],
    localPreference: undefined,
    communities: [],
  });
  const texts = Array.from({ length: 1_000 }, (_, i) => `fd00:b9::${i.toString(16)}/128`);
  const updates = table.bringTo(prefixes(...texts, '203.0.113.1/32'));
  expect(updates.flatMap((update) => update.announced).length).toBe(1_000);
  for (const update of updates)
    expect(encodeBgp(update, { fourByteAs: true }).length).toBeLessThanOrEqual(4_096);
  expect(table.bringTo(prefixes(...texts))).toEqual([]);
});
