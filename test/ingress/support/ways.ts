import http2 from 'node:http2';
import type tls from 'node:tls';
import { type Ask, ask } from './client.ts';
import type { Rig } from './rig.ts';

/** HTTP/1.1, the same over TLS, and HTTP/2 over TLS: one meaning on all of them. */
export const WAYS = ['plain', 'tls', 'h2'] as const;
export type Way = (typeof WAYS)[number];

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Sends one request that way. */
export async function askBy(way: Way, rig: Rig, asked: Ask): Promise<Answer> {
  const name = (asked.host ?? 'web.test').replace(/:\d+$/, '');
  if (way === 'plain') return await ask(rig.http, asked);
  if (way === 'tls') return await ask(rig.https, { sni: name, ...asked });
  return await askH2(rig.https, name, asked);
}

function askH2(port: number, name: string, asked: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options: tls.ConnectionOptions = { servername: name, rejectUnauthorized: false, ...asked.tls };
    const session = http2.connect(`https://127.0.0.1:${port}`, options);
    session.on('error', reject);
    const headers: http2.OutgoingHttpHeaders = {
      ':method': asked.method ?? 'GET',
      ':path': asked.path ?? '/',
      ':authority': asked.host ?? 'web.test',
      ...asked.headers,
    };
    const stream = session.request(headers, { endStream: asked.body === undefined });
    let answer: Answer = { status: 0, headers: {}, body: '' };
    stream.on(
      'response',
      (given) => (answer = { ...answer, status: Number(given[':status']), headers: given }),
    );
    stream.on('data', (bytes: Buffer) => (answer = { ...answer, body: answer.body + bytes.toString() }));
    stream.on('error', () => {}); // the status tells
    stream.on('close', () => {
      session.destroy();
      resolve(answer);
    });
    if (asked.body !== undefined) stream.end(asked.body);
  });
}
