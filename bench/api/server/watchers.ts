import { type ClientHttp2Session, connect } from 'node:http2';
import type { ServerProcess } from './process.ts';

const STREAMS_A_CONNECTION = 50;
const NEWLINE = 0x0a;

/** Opens watches, changes one object several times, and returns how long each change took to each watcher, ms. */
export async function fanOut(
  server: ServerProcess,
  options: {
    readonly token: string;
    readonly watchers: number;
    readonly changes: number;
    readonly path: string;
  },
): Promise<number[]> {
  const sessions: ClientHttp2Session[] = [];
  const delays: number[] = [];
  let sentAt = 0;
  let seen = 0;
  let all = Promise.withResolvers<void>();
  let opened = 0;
  const allOpen = Promise.withResolvers<void>();
  for (let i = 0; i < options.watchers; i++) {
    if (i % STREAMS_A_CONNECTION === 0) sessions.push(connect(server.url, { ca: server.ca }));
    const stream = sessions.at(-1)?.request({
      ':path': `${options.path}?watch=true`,
      authorization: `Bearer ${options.token}`,
    });
    if (!stream) throw new Error('no connection');
    stream.once('response', () => {
      opened++;
      if (opened === options.watchers) allOpen.resolve();
    });
    stream.on('data', (chunk: Buffer) => {
      if (sentAt === 0 || chunk.at(-1) !== NEWLINE) return; // the object as it was, or the first part of an event
      delays.push(performance.now() - sentAt);
      seen++;
      if (seen === options.watchers) all.resolve();
    });
    stream.on('error', () => {});
  }
  await allOpen.promise;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  for (let change = 0; change < options.changes; change++) {
    seen = 0;
    all = Promise.withResolvers<void>();
    sentAt = performance.now();
    await server.call('PUT', `${options.path}/watched`, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'watched' },
      data: { change: String(change), filler: 'x'.repeat(1_900) },
    });
    await all.promise;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  for (const session of sessions) session.destroy();
  return delays.sort((a, b) => a - b);
}
