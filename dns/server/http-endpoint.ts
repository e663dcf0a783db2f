import type * as http from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { Peer } from '../query.ts';
import { joinHostPort, splitHostPort } from '../../src/net/ip.ts';
import { listening } from './stream-listener.ts';

export interface HttpReply {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
}

export type HttpPage = () => HttpReply | Promise<HttpReply>;

const require = createRequire(import.meta.url);

/** A small HTTP port for health, readiness and metrics; plugins of all blocks add their pages to the same one. */
export class HttpEndpoint implements AsyncDisposable {
  readonly #server: http.Server;
  readonly #pages = new Map<string, Set<HttpPage>>();
  readonly #listening: Promise<void>;

  constructor(address: Peer) {
    // Loaded by who needs it: a server that answers at once after a crash starts without.
    const { createServer } = require('node:http') as typeof http;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.headersTimeout = 5000;
    this.#server.requestTimeout = 10_000;
    this.#listening = listening(this.#server, { address: address.address, port: address.port });
    this.#listening.catch(() => {}); // told by `opened`
  }

  /** Rejects with Fault LISTEN_FAILED. */
  async opened(): Promise<Peer> {
    await this.#listening;
    const { address, port } = this.#server.address() as AddressInfo;
    return { address, port };
  }

  /** Serves page at path; of several pages at one path the newest speaks. */
  add(path: string, page: HttpPage): Disposable {
    const pages = this.#pages.get(path) ?? new Set();
    this.#pages.set(path, pages);
    pages.add(page);
    return { [Symbol.dispose]: () => void pages.delete(page) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?')[0]!;
    const page = [...(this.#pages.get(path) ?? [])].at(-1);
    const reply = page ? await page() : { status: 404, body: 'not found\n' };
    response.writeHead(reply.status, { 'content-type': reply.contentType ?? 'text/plain; charset=utf-8' });
    response.end(request.method === 'HEAD' ? undefined : reply.body);
  }
}

/** `http://127.0.0.1:8181/ready`. */
export function pageUrl({ address, port }: Peer, path: string): string {
  return `http://${joinHostPort(address, port)}${path}`;
}

/** `:8181`, `localhost:8181`, `[::1]:8181`; undefined when the text is no address with a port. */
export function parseListenAddress(text: string): Peer | undefined {
  const split = splitHostPort(text);
  if (!split) return undefined;
  return { address: split.host === '' ? '::' : split.host, port: split.port };
}
