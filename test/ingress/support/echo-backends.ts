import { createHash } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { CaseRequest, Seen } from './case-types.ts';

/** Echo servers on the real addresses of a group's endpoints; they tell what they saw and misbehave when asked. */
export class EchoBackends implements AsyncDisposable {
  readonly seen: Seen[] = [];
  #request: CaseRequest = {};
  #resetDone = false;
  readonly #servers = new Map<string, net.Server>();
  readonly #sockets = new Set<net.Socket>();
  readonly #backends = new Map<string, string>();
  readonly #http: http.Server;
  readonly #tls: tls.Server;

  constructor(objects: readonly UnknownObject[], pair: { cert: string; key: string }) {
    for (const [endpoint, backend] of endpointsOf(objects)) this.#backends.set(endpoint, backend);
    this.#http = http.createServer((request, response) => this.#answer(request, response));
    this.#http.on('upgrade', (request: http.IncomingMessage, socket: net.Socket) =>
      this.#upgrade(request, socket),
    );
    this.#tls = tls.createServer(
      { ...pair, ALPNProtocols: ['http/1.1'] },
      (socket) => void this.#http.emit('connection', socket),
    );
  }

  backendOf(endpoint: string): string {
    return this.#backends.get(endpoint) ?? endpoint;
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  async open(): Promise<void> {
    for (const endpoint of this.#backends.keys()) await this.#listen(endpoint);
  }

  /** The next case begins: forget what was seen and behave as it asks. */
  async begin(request: CaseRequest): Promise<void> {
    await this.#restore();
    if (request.upstreamRaw !== undefined || this.#request.upstreamRaw !== undefined) {
      // kept connections have their protocol already
      for (const socket of this.#sockets) socket.destroy();
      await waitFor('connections to end', () => this.#sockets.size === 0);
      await new Promise((resolve) => setTimeout(resolve, 20)); // the ingress hears of it a moment later
    }
    this.#request = request;
    this.seen.length = 0;
    this.#resetDone = false;
    const backends = [...this.#servers.keys()];
    if (request.upstreamFault === 'refuse-one' || request.upstreamFault === 'refuse-first') {
      const host = request.host!;
      const of = backends.filter((endpoint) =>
        this.backendOf(endpoint).includes(host.startsWith('noretry') ? '/noretry:' : '/multi:'),
      );
      const closed = request.upstreamFault === 'refuse-first' ? of : of.slice(0, 1);
      for (const endpoint of closed) await this.#close(endpoint);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers.values()) server.close();
    this.#servers.clear();
  }

  async #restore(): Promise<void> {
    for (const endpoint of this.#backends.keys())
      if (!this.#servers.has(endpoint)) await this.#listen(endpoint);
  }

  async #close(endpoint: string): Promise<void> {
    const server = this.#servers.get(endpoint);
    this.#servers.delete(endpoint);
    for (const socket of this.#sockets) if (keyOf(socket) === endpoint) socket.destroy();
    await new Promise((resolve) => server?.close(resolve));
  }

  async #listen(endpoint: string): Promise<void> {
    const at = endpoint.lastIndexOf(':');
    const host = endpoint.slice(0, at).replaceAll(/[[\]]/g, '');
    const server = net.createServer((socket) => this.#connected(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(Number(endpoint.slice(at + 1)), host, resolve);
    });
    this.#servers.set(endpoint, server);
  }

  #connected(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => {
      socket.pause();
      socket.unshift(bytes);
      if (this.#request.upstreamRaw !== undefined) return this.#raw(socket);
      if (bytes[0] === 22) this.#tls.emit('connection', socket);
      else if (bytes.toString('latin1', 0, 4) === 'PRI ') this.#h2(socket);
      else {
        this.#http.emit('connection', socket);
        socket.resume();
      }
    });
  }

  #raw(socket: net.Socket): void {
    const endpoint = keyOf(socket);
    socket.on('data', (bytes: Buffer) => {
      const [, method = '', target = ''] = /^(\S+) (\S+)/.exec(bytes.toString('latin1')) ?? [];
      this.#see(socket, endpoint, method, target, {}, 'http/1.1');
      socket.write(this.#request.upstreamRaw!);
      if (this.#request.upstreamThen === 'close') socket.end();
    });
    socket.resume();
  }

  #h2(socket: net.Socket): void {
    const endpoint = keyOf(socket);
    const session = http2.performServerHandshake(socket);
    session.on('error', () => {});
    session.on('stream', (stream, headers) => {
      const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
      this.#see(
        socket,
        endpoint,
        String(headers[':method']),
        String(headers[':path']),
        { ...plain, host: String(headers[':authority']) },
        'h2c',
      );
      stream.respond({ ':status': 200, 'content-type': headers['content-type'] ?? 'text/plain' });
      stream.end('ok');
      stream.resume();
    });
  }

  #see(
    socket: net.Socket,
    endpoint: string,
    method: string,
    target: string,
    headers: Record<string, string>,
    protocol: string,
  ): Seen {
    const seen: Seen = {
      endpoint,
      backend: this.backendOf(endpoint),
      method,
      target,
      headers,
      protocol,
      body: '',
      bodyBytes: 0,
      cancelledMs: undefined,
      connection: socket.remotePort ?? 0,
    };
    this.seen.push(seen);
    return seen;
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(request.headers)) headers[name] = String(value);
    const socket = request.socket;
    const protocol = (socket as { encrypted?: boolean }).encrypted ? 'https' : 'http/1.1';
    const seen = this.#see(socket, keyOf(socket), request.method ?? '', request.url ?? '', headers, protocol);
    const body: Buffer[] = [];
    request.on('data', (bytes: Buffer) => {
      seen.bodyBytes += bytes.length;
      if (seen.bodyBytes < 10_000) body.push(bytes);
    });
    request.on('end', () => {
      seen.body = Buffer.concat(body).toString();
      this.#reply(seen, request, response);
    });
    response.on('close', () => {
      if (!response.writableEnded) seen.cancelledMs = performance.now();
    });
  }

  #reply(seen: Seen, request: http.IncomingMessage, response: http.ServerResponse): void {
    const { upstreamFault, upstreamReply, authReply } = this.#request;
    if (upstreamFault === 'reset-first-after-request' && !this.#resetDone) {
      this.#resetDone = true;
      request.socket.destroy();
      return;
    }
    const isAuth = seen.backend.includes('/authz:');
    const status = isAuth
      ? (authReply?.status ?? 200)
      : seen.backend.includes('/errpages:')
        ? 404
        : (upstreamReply?.status ?? 200);
    const send = (): void => {
      response.writeHead(status, { 'x-endpoint': seen.endpoint, ...(isAuth && authReply?.headers) });
      response.end('ok');
    };
    if (upstreamReply?.delayMs && !isAuth) setTimeout(send, upstreamReply.delayMs);
    else send();
  }

  #upgrade(request: http.IncomingMessage, socket: net.Socket): void {
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    this.#see(socket, keyOf(socket), request.method ?? '', request.url ?? '', headers, 'http/1.1');
    const accept = createHash('sha1')
      .update(`${String(request.headers['sec-websocket-key'])}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.pipe(socket);
  }
}

/** The endpoint a socket was accepted at: `ip:port`. */
function keyOf(socket: net.Socket): string {
  const address = (socket.localAddress ?? '').replace('::ffff:', '');
  return address.includes(':') ? `[${address}]:${socket.localPort}` : `${address}:${socket.localPort}`;
}

interface ServiceObject extends UnknownObject {
  spec: { clusterIP?: string; ports?: { name?: string; port: number; protocol?: string }[] };
}
interface SliceObject extends UnknownObject {
  endpoints?: { addresses: string[] }[];
  ports?: { name?: string; port: number }[];
}

/** Every `ip:port` that may be connected to, with its `namespace/service:port`. */
export function endpointsOf(objects: readonly UnknownObject[]): Map<string, string> {
  const found = new Map<string, string>();
  const join = (address: string, port: number): string =>
    address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  const services = objects.filter((object) => object.kind === 'Service') as ServiceObject[];
  for (const slice of objects.filter((object) => object.kind === 'EndpointSlice') as SliceObject[]) {
    const name = slice.metadata.labels?.['kubernetes.io/service-name'];
    const service = services.find(
      (each) => each.metadata.name === name && each.metadata.namespace === slice.metadata.namespace,
    );
    for (const port of slice.ports ?? []) {
      const servicePort = service?.spec.ports?.find((each) => (each.name ?? '') === (port.name ?? ''))?.port;
      for (const endpoint of slice.endpoints ?? []) {
        for (const address of endpoint.addresses)
          found.set(join(address, port.port), `${slice.metadata.namespace}/${name}:${servicePort}`);
      }
    }
  }
  for (const { metadata, spec } of services) {
    if (!spec.clusterIP || spec.clusterIP === 'None') continue;
    for (const { port } of spec.ports ?? [])
      found.set(join(spec.clusterIP, port), `${metadata.namespace}/${metadata.name}:${port}`);
  }
  return found;
}
