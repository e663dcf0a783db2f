import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { dnsEngines } from '../../../dns/server/engine.ts';
import { frame } from '../../../dns/server/framing.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { TestCertificate } from '../support/certificate.ts';
import { TestFolder } from '../support/folder.ts';
import { openServer, questionOf, type TestServer } from '../support/server.ts';
import { askStream } from '../support/wire-client.ts';

const QUESTION = frame(encodeMessage(questionOf('x. A')));
const tcpOf = (on: TestServer): { port: number } =>
  on.server.addresses.find(({ transport }) => transport === 'tcp')!;

interface Visit {
  readonly socket: Socket;
  readonly seen: { bytes: number; closed: boolean };
}

async function visit(port: number): Promise<Visit> {
  const socket = connect(port, '127.0.0.1');
  const seen = { bytes: 0, closed: false };
  socket.on('data', (chunk: Buffer) => (seen.bytes += chunk.length));
  socket.on('error', () => {}); // reset by the server
  socket.on('close', () => (seen.closed = true));
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return { socket, seen };
}

describe('timeouts', () => {
  it('read closes on a question that does not come to its end, however it drips', async () => {
    const clock = new FakeClock();
    await using on = await openServer('. {\ntimeouts {\nread 2s\nidle 1h\n}\nwhoami\n}', { clock });
    const { socket, seen } = await visit(tcpOf(on).port);
    socket.write(QUESTION);
    await waitFor('the answer', () => seen.bytes > 0);
    await clock.advance(60_000);
    expect(seen.closed).toBe(false);
    socket.write(QUESTION.subarray(0, 5));
    await waitFor(
      'the end',
      async () => {
        await clock.advance(100);
        if (!seen.closed) socket.write(QUESTION.subarray(5, 6));
        return seen.closed;
      },
      20_000,
    );
  });

  it('idle closes a connection that asks nothing', async () => {
    const clock = new FakeClock();
    await using on = await openServer('. {\ntimeouts {\nidle 3\n}\nwhoami\n}', { clock });
    const { socket, seen } = await visit(tcpOf(on).port);
    socket.write(QUESTION);
    await waitFor('the answer', () => seen.bytes > 0);
    await clock.advance(2900);
    expect(seen.closed).toBe(false);
    await waitFor('the end', async () => (await clock.advance(1000), seen.closed));
  });

  it('maxtcpqueries closes after the last answer', async () => {
    await using on = await openServer('. {\ntimeouts {\nmaxtcpqueries 2\n}\nwhoami\n}');
    const { socket, seen } = await visit(tcpOf(on).port);
    socket.write(Buffer.concat([QUESTION, QUESTION, QUESTION]));
    await waitFor('the end', () => seen.closed);
    const { seen: once, socket: other } = await visit(tcpOf(on).port);
    other.write(QUESTION);
    await waitFor('the answer', () => once.bytes > 0);
    expect(seen.bytes).toBe(2 * once.bytes);
    other.destroy();
  });

  it.each([
    ['timeouts', 'Corefile:2:1: timeouts needs at least one of read, write, idle, maxtcpqueries'],
    ['timeouts {\nread 0\n}', 'Corefile:3:6: "0" is not from 1s to 24h'],
    ['timeouts {\nidle 25h\n}', 'Corefile:3:6: "25h" is not from 1s to 24h'],
    ['timeouts {\nmaxtcpqueries 0\n}', 'Corefile:3:15: "0" is not a whole number from 1'],
    ['timeouts {\nrest 1s\n}', 'Corefile:3:1: unknown option "rest" of timeouts; did you mean "read"?'],
    ['multisocket 0', 'Corefile:2:13: "0" is not a whole number from 1 to 1024'],
    ['https', 'Corefile:2:1: https is for blocks with an https:// key'],
    ['proxyproto', 'directive "proxyproto" is not part of weft'],
  ])('refuses %j', async (text, fault) => {
    await expect(openServer(`. {\n${text}\n}`)).rejects.toThrow(fault);
  });

  it('refuses shed where there is no UDP', async () =>
    await expect(openServer('tls://. {\nshed\ntls a b\n}')).rejects.toThrow('shed is for blocks on UDP'));
});

describe('multisocket', () => {
  it('tells the engine how many sockets the port shall have', async () => {
    const asked: unknown[] = [];
    const { openPortableDatagram } = await import('../../../dns/server/portable-datagram.ts');
    await using _on = await openServer('. {\nmultisocket 3\nwhoami\n}', {
      openDatagram: async (options, handler) => {
        asked.push(options.sockets);
        return await openPortableDatagram(options, handler);
      },
    });
    expect(asked).toEqual([3]);
  });
});

describe('bind', () => {
  const loopback = networkInterfaces()['lo']?.map(({ address }) => address) ?? [];

  it('takes every address of an interface but those excepted', async () => {
    await using on = await openServer('. {\nbind lo {\nexcept ::1\n}\nwhoami\n}');
    const addresses = on.server.addresses.map(({ address }) => address);
    expect([...new Set(addresses)]).toEqual(loopback.filter((address) => address !== '::1'));
  });

  it('listens nowhere rather than everywhere when nothing is left', async () =>
    await expect(openServer('. {\nbind 127.0.0.1 {\nexcept lo\n}\nwhoami\n}')).rejects.toMatchObject({
      code: 'BIND_UNKNOWN',
    }));
});

describe('tls', () => {
  const folder = new TestFolder();
  const ours = new TestCertificate();
  afterAll(() => {
    for (const each of [folder, ours]) each[Symbol.dispose]();
  });

  it.each(['portable', 'native'] as const)('keylog writes the secrets of sessions: %s', async (engine) => {
    const keys = folder.at(`${engine}.log`);
    const file = `tls://.:0 {\ntls ${ours.certFile} ${ours.keyFile} {\nkeylog ${keys}\n}\nwhoami\n}`;
    const log = { clock: systemClock, log: silentLogger };
    await using on = await openServer(file, dnsEngines(engine, log, { receivers: 1 }));
    const to = on.server.addresses.find(({ transport }) => transport === 'tls')!;
    expect(await askStream(to, QUESTION.subarray(2), { tls: { ca: ours.ca } })).toHaveLength(1);
    await waitFor('the secrets', () => readFileSync(keys, 'utf8') !== '');
    expect(readFileSync(keys, 'utf8')).toMatch(/^(SERVER|CLIENT)_\w+ [0-9a-f]{64} /m);
  });

  it('says what to do instead of acme', async () =>
    await expect(openServer('tls://. {\ntls {\nacme x.org\n}\n}')).rejects.toThrow('cert-manager'));
});
