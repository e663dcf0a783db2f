import http from 'node:http';
import https from 'node:https';
import { waitFor } from '../../support/wait-for.ts';
import { RawBackend } from './backend.ts';
import { isSecure } from './dial.ts';
import { ingress, service } from './objects.ts';
import { Rig } from './rig.ts';

export interface LieResult {
  /** Answers of the backend that were asked for. */
  readonly asked: number;
  /** Of those: whole answers, answers of ours instead (502, 504), and answers that were cut. */
  readonly whole: number;
  readonly replaced: number;
  readonly cut: number;
}

/** A backend that lies holds its connection open for so long: another request may be sent on it meanwhile. */
const OPEN_MS = 40;
const AT_ONCE = 32;
const ANSWER_MS_MAX = 20_000;
/** Requests are numbered by multiples of 11: no changed digit makes one number of another. */
const FIRST = 10_000_001;
const STEP = 11;

/** What a good backend answers to request N. */
const SEEDS: readonly ((n: number) => string)[] = [
  (n) =>
    `HTTP/1.1 200 OK\r\nX-Case: ${n}\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello world!`,
  (n) =>
    `HTTP/1.1 200 OK\r\nX-Case: ${n}\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n7\r\n world!\r\n0\r\nX-Sum: 1\r\n\r\n`,
  (n) =>
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nX-Case: ${n}\r\nContent-Length: 2\r\n\r\nok`,
  (n) =>
    `HTTP/1.1 304 Not Modified\r\nX-Case: ${n}\r\nETag: "a"\r\nConnection: keep-alive, X-Gone\r\nX-Gone: 1\r\n\r\n`,
  (n) => `HTTP/1.0 200 OK\r\nX-Case: ${n}\r\n\r\nuntil the end`,
];

/** What is put in the place of one byte. */
const LIES: readonly string[] = [
  '\r',
  '\n',
  '\0',
  ' ',
  ':',
  'é',
  '9',
  'f',
  '',
  '\r\n',
  '\r\n\r\n',
  'HTTP/1.1 200 OK\r\n',
];

/** Every seed with every lie in the place of every `step`th byte, and cut there. */
function* lies(step: number): Generator<(n: number) => string> {
  for (const seed of SEEDS) {
    yield seed;
    for (let at = 0; at < seed(FIRST).length; at += step) {
      yield (n) => seed(n).slice(0, at);
      for (const lie of LIES) yield (n) => seed(n).slice(0, at) + lie + seed(n).slice(at + 1);
    }
  }
}

type Outcome = 'whole' | 'replaced' | 'cut';

/**
 * A backend that lies at every byte. Throws when a client gets what another one asked for, what Node's parser cannot
 * read, or nothing at all.
 */
export async function fuzzBackend(step: number): Promise<LieResult> {
  const answers = new Map<string, string>();
  await using backend = await RawBackend.open((socket) =>
    socket.on('data', (bytes: Buffer) => {
      const target = /^GET \/(\d+) /.exec(bytes.toString('latin1'))?.[1];
      socket.write(answers.get(target ?? '') ?? 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'latin1');
      setTimeout(() => socket.end(), OPEN_MS);
    }),
  );
  await using rig = await Rig.open([
    ...service('web', backend.endpoint),
    ingress({ annotations: { 'proxy-next-upstream': 'off', 'ingress.weft.dev/outlier-failures': '0' } }),
  ]);
  const count: Record<Outcome, number> = { whole: 0, replaced: 0, cut: 0 };
  let next = FIRST;
  const left = lies(step);
  const worker = async (): Promise<void> => {
    for (const lie of left) {
      const n = next;
      next += STEP;
      answers.set(String(n), lie(n));
      count[await outcomeOf(rig.http, n, answers)]++;
      answers.delete(String(n));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  await waitFor('the connections to the backend to end', () => backend.sockets.size === 0, ANSWER_MS_MAX);
  return { asked: (next - FIRST) / STEP, ...count };
}

function outcomeOf(port: number, n: number, answers: ReadonlyMap<string, string>): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const fault = (what: string): void =>
      reject(new Error(`${what} for ${JSON.stringify(answers.get(String(n)))}`));
    const asked = { port, path: `/${n}`, agent: false, headers: { host: 'web.test' } };
    const request = isSecure() ? https.get({ ...asked, rejectUnauthorized: false }) : http.get(asked);
    request.setTimeout(ANSWER_MS_MAX, () => fault('no answer'));
    request.on('error', (error: NodeJS.ErrnoException) =>
      error.code?.startsWith('HPE_') === true && error.code !== 'HPE_INVALID_EOF_STATE'
        ? fault(`unreadable (${error.code})`)
        : resolve('cut'),
    );
    request.on('response', (response) => {
      const told = response.headers['x-case'];
      if (typeof told === 'string' && told !== String(n) && answers.has(told))
        return fault(`the answer to ${told}`);
      response.resume();
      response.on('error', () => {}); // `close` tells
      response.on('close', () => {
        if (!response.complete) return resolve('cut');
        resolve(response.statusCode === 502 || response.statusCode === 504 ? 'replaced' : 'whole');
      });
    });
  });
}
