import http from 'node:http';
import https from 'node:https';
import type tls from 'node:tls';
import { dial, isSecure } from './dial.ts';

export interface Ask {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  /** TLS with this server name. */
  readonly sni?: string;
  readonly tls?: tls.ConnectionOptions;
  readonly agent?: http.Agent;
  readonly localAddress?: string;
}

export interface Told {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
  /** The answer was cut short. */
  readonly cut: boolean;
  readonly interim: readonly number[];
}

/** One HTTP/1.1 request; rejects when no answer begins. */
export function ask(port: number, asked: Ask = {}): Promise<Told> {
  const overTls = isSecure() || asked.sni !== undefined;
  return new Promise((resolve, reject) => {
    const options: https.RequestOptions = {
      host: '127.0.0.1',
      port,
      method: asked.method ?? 'GET',
      path: asked.path ?? '/',
      agent: asked.agent ?? false,
      setHost: false,
      headers: { host: asked.host ?? 'web.test', ...asked.headers },
      ...(asked.localAddress !== undefined && { localAddress: asked.localAddress }),
      ...(overTls && { rejectUnauthorized: false }),
      ...(asked.sni !== undefined && { servername: asked.sni, ...asked.tls }),
    };
    const interim: number[] = [];
    const request = (overTls ? https : http).request(options, (response) => {
      const chunks: Buffer[] = [];
      const done = (cut: boolean): void =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          body: Buffer.concat(chunks).toString('latin1'),
          trailers: response.trailers,
          cut,
          interim,
        });
      response.on('data', (bytes: Buffer) => chunks.push(bytes));
      response.on('end', () => done(false));
      response.on('error', () => done(true));
    });
    request.on('information', (info) => interim.push(info.statusCode));
    request.on('error', reject);
    request.end(asked.body);
  });
}

export interface Talk {
  readonly text: string;
  /** The server closed; else it kept the connection open. */
  readonly closed: boolean;
}

/** Nothing more comes after an answer for so long: it was all. */
const QUIET_MS = 300;

/** Raw bytes there and back: until the server closes, or is quiet after an answer. */
export function talk(port: number, ...pieces: readonly (string | Buffer)[]): Promise<Talk> {
  return new Promise((resolve) => {
    const socket = dial(port);
    let text = '';
    let timer: NodeJS.Timeout | undefined;
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closed });
    };
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      clearTimeout(timer);
      timer = setTimeout(() => finish(false), QUIET_MS);
    });
    socket.on('error', () => {});
    socket.on('close', () => finish(true));
    void (async () => {
      for (const piece of pieces) {
        if (socket.destroyed) return;
        socket.write(piece, 'latin1');
        await new Promise((next) => setImmediate(next));
      }
    })();
  });
}

/** Status codes of all final answers in raw HTTP/1.1 text. */
export function statusesOf(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 ([2-5]\d\d) /g)].map((match) => Number(match[1]));
}
