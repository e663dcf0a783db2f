import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ApiListener } from '../../../src/api/server/http/listener.ts';
import type { Reply } from '../../../src/api/server/http/reply.ts';
import { openPki, type Pki } from '../../../src/api/server/identity/pki.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { Drain } from '../../../src/base/drain.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { waitFor } from '../../support/wait-for.ts';

const BODY = Buffer.alloc(3 * 1024 * 1024 + 7, '0123456789abcdefghij');

let pki: Pki;
let listener: ApiListener;
/** Called by the listener for each turn it needs; resolves when the test gives it. */
let nextSlice: () => Promise<void> = () => Promise.resolve();
let [released, done] = [0, 0];

beforeAll(async () => {
  pki = await openPki(systemClock, { dir: undefined, dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] });
  const reply: Reply = {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: BODY,
    release: () => released++,
    done: () => done++,
    nextSlice: () => nextSlice(),
  };
  const deps = {
    clock: systemClock,
    log: silentLogger,
    drain: new Drain(),
    mayConnect: () => Promise.resolve(),
  };
  listener = await ApiListener.open(
    { ...deps, handler: () => Promise.resolve(reply) },
    { host: '127.0.0.1', port: 0, ...pki.server, caPem: pki.ca.pem },
  );
});
afterAll(() => listener[Symbol.asyncDispose]());

function get(): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(`https://${listener.address}/`, { ca: pki.ca.pem, agent: false }, resolve);
    sent.on('error', reject);
    sent.end();
  });
}

it('a long reply waits for turns and arrives whole', async () => {
  let turns = 0;
  nextSlice = () => {
    turns++;
    return Promise.resolve();
  };
  const chunks: Buffer[] = [];
  for await (const chunk of await get()) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).equals(BODY)).toBe(true);
  expect(turns).toBe(12); // one for each 256 KiB
  await waitFor('its place and memory back', () => released === 1 && done === 1);
});

it('a client that leaves while its reply waits for a turn is forgotten', async () => {
  const turn = Promise.withResolvers<void>();
  let asked = 0;
  nextSlice = () => {
    asked++;
    return turn.promise;
  };
  const reply = await get();
  reply.on('error', () => {});
  reply.resume();
  await waitFor('the first turn', () => asked === 1);
  reply.destroy();
  await waitFor('its place and memory back', () => released === 2 && done === 2);
  turn.resolve();
  nextSlice = () => Promise.resolve();
  const chunks: Buffer[] = [];
  for await (const chunk of await get()) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).length).toBe(BODY.length);
  expect(asked).toBe(1); // nothing was written to who had left
});
