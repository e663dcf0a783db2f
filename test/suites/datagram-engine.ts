import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import type {
  DatagramEngine,
  DatagramHandler,
  FastPath,
  OpenDatagramEngine,
} from '../../dns/server/datagram-engine.ts';
import { waitFor } from '../support/wait-for.ts';

export interface DatagramEngineFixture {
  readonly name: string;
  /** Answers of wildcard sockets leave from the address that was asked. */
  readonly answersFromAsked: boolean;
  readonly open: OpenDatagramEngine;
  /** A path whose table answers `question` with an A record, on whatever thread. */
  readonly tablePath: () => {
    readonly path: FastPath;
    readonly question: Uint8Array;
    readonly counted: () => number;
  };
}

/** Answers in upper case. */
const shout: DatagramHandler = (bytes, _client, reply) =>
  reply(Buffer.from(Buffer.from(bytes).toString().toUpperCase()));

async function asked(
  client: Socket,
  engine: DatagramEngine,
  text: string | Uint8Array,
  host = '127.0.0.1',
): Promise<{ text: string; from: string; bytes: Buffer }> {
  const answer = once(client, 'message') as Promise<[Buffer, { address: string }]>;
  client.send(text, engine.address.port, host);
  const [bytes, from] = await answer;
  return { text: bytes.toString(), from: from.address, bytes };
}

/** What every engine promises, over real sockets. */
export function datagramEngineSuite({
  name,
  open,
  answersFromAsked,
  tablePath,
}: DatagramEngineFixture): void {
  describe(`datagram engine ${name}`, () => {
    it.each([
      ['127.0.0.1', '127.0.0.1'],
      ['::1', '::1'],
      ['::', '127.0.0.1'],
      ['::', '::1'],
      ['0.0.0.0', '127.0.0.1'],
    ])('bound to %s answers %s', async (address, host) => {
      const seen: string[] = [];
      await using engine = await open({ address, port: 0 }, (bytes, client, reply) => {
        seen.push(client.address);
        shout(bytes, client, reply);
      });
      const client = createSocket(host.includes(':') ? 'udp6' : 'udp4');
      expect((await asked(client, engine, 'hello', host)).text).toBe('HELLO');
      expect(seen).toEqual([host]);
      client.close();
    });

    if (answersFromAsked) {
      it('answers from the address that was asked', async () => {
        await using engine = await open({ address: '::', port: 0 }, shout);
        const client = createSocket('udp4');
        expect((await asked(client, engine, 'hello', '127.3.2.1')).from).toBe('127.3.2.1');
        client.close();
      });
    }

    it('answers late, more than once and never', async () => {
      let later: ((bytes: Uint8Array) => void) | undefined;
      await using engine = await open(
        { address: '127.0.0.1', port: 0 },
        (_bytes, _client, reply) => (later = reply),
      );
      const client = createSocket('udp4');
      const got: string[] = [];
      client.on('message', (bytes) => got.push(bytes.toString()));
      client.send('x', engine.address.port, '127.0.0.1');
      await waitFor('the question', () => later);
      later?.(Buffer.from('one'));
      later?.(Buffer.from('two'));
      await waitFor('both answers', () => got.length === 2);
      expect(got).toEqual(['one', 'two']);
      client.close();
    });

    it('keeps a thousand clients apart', async () => {
      await using engine = await open({ address: '127.0.0.1', port: 0 }, shout);
      const clients = Array.from({ length: 50 }, () => createSocket('udp4'));
      for (let round = 0; round < 20; round++) {
        const answers = await Promise.all(
          clients.map((client, i) => asked(client, engine, `c${i}r${round}`)),
        );
        expect(answers.map(({ text }) => text)).toEqual(clients.map((_client, i) => `C${i}R${round}`));
      }
      expect(engine.counts).toMatchObject({ received: 1000, fast: 0, sendErrors: 0 });
      for (const client of clients) client.close();
    });

    it('sends the largest datagram there is', async () => {
      const large = Buffer.alloc(65_507, 7);
      await using engine = await open({ address: '127.0.0.1', port: 0 }, (_bytes, _client, reply) =>
        reply(large),
      );
      const client = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
      expect((await asked(client, engine, 'x')).bytes.equals(large)).toBe(true);
      client.close();
    });

    it('answers from the table, then without it', async () => {
      const { path, question, counted } = tablePath();
      await using engine = await open({ address: '127.0.0.1', port: 0 }, shout);
      const client = createSocket('udp4');
      engine.useFastPath(path);
      const { bytes } = await asked(client, engine, question);
      expect([...bytes.subarray(-4)]).toEqual([10, 96, 0, 7]);
      await waitFor('the counts', () => counted() === 1 && engine.counts.fast === 1);
      expect((await asked(client, engine, 'not dns')).text).toBe('NOT DNS');
      engine.useFastPath(undefined);
      const { bytes: echoed } = await asked(client, engine, question);
      expect(echoed.subarray(12)).toEqual(
        Buffer.from(Buffer.from(question).toString().toUpperCase()).subarray(12),
      );
      client.close();
    });

    it('refuses a port that is taken, in words', async () => {
      await using engine = await open({ address: '127.0.0.1', port: 0 }, shout);
      await expect(open({ address: '127.0.0.1', port: engine.address.port }, shout)).rejects.toMatchObject({
        code: 'LISTEN_FAILED',
        message: expect.stringContaining(`127.0.0.1:${engine.address.port}/udp`),
      });
    });

    it('frees the port, and late answers after that are dropped', async () => {
      let later: ((bytes: Uint8Array) => void) | undefined;
      const engine = await open(
        { address: '127.0.0.1', port: 0 },
        (_bytes, _client, reply) => (later = reply),
      );
      const client = createSocket('udp4');
      client.send('x', engine.address.port, '127.0.0.1');
      await waitFor('the question', () => later);
      await engine[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
      later?.(Buffer.from('late'));
      await using next = await open({ address: '127.0.0.1', port: engine.address.port }, shout);
      expect((await asked(client, next, 'again')).text).toBe('AGAIN');
      client.close();
    });
  });
}
