import http from 'node:http';
import net from 'node:net';

/** A request as a backend received it. */
export interface Received {
  readonly method: string;
  readonly target: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
  readonly connection: net.Socket;
}

type Answer = (received: Received, response: http.ServerResponse, request: http.IncomingMessage) => void;

/** A real HTTP server on loopback that remembers what it got. */
export class Backend implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly sockets = new Set<net.Socket>();
  readonly server: http.Server;
  answer: Answer = (_, response) => response.end('ok');
  connections = 0;
  /** `ip:port`. */
  endpoint = '';

  private constructor() {
    this.server = http.createServer((request, response) => this.#take(request, response));
    this.server.on('connection', (socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  static async open(answer?: Answer, host = '127.0.0.1', port = 0): Promise<Backend> {
    const backend = new Backend();
    if (answer) backend.answer = answer;
    await new Promise<void>((resolve, reject) => {
      backend.server.once('error', reject);
      backend.server.listen(port, host, resolve);
    });
    backend.endpoint = `${host}:${(backend.server.address() as net.AddressInfo).port}`;
    return backend;
  }

  get last(): Received {
    return this.received.at(-1)!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  #take(request: http.IncomingMessage, response: http.ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (bytes: Buffer) => chunks.push(bytes));
    request.on('error', () => {}); // a client that went away
    request.on('end', () => {
      const received: Received = {
        method: request.method ?? '',
        target: request.url ?? '',
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        body: Buffer.concat(chunks).toString('latin1'),
        trailers: request.trailers,
        connection: request.socket,
      };
      this.received.push(received);
      this.answer(received, response, request);
    });
  }
}

/** A TCP server that does what it is told with each connection: for backends that lie. */
export class RawBackend implements AsyncDisposable {
  readonly sockets = new Set<net.Socket>();
  readonly #server: net.Server;
  connections = 0;

  private constructor(onConnection: (socket: net.Socket, nth: number) => void) {
    this.#server = net.createServer((socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
      onConnection(socket, ++this.connections);
    });
  }

  static async open(onConnection: (socket: net.Socket, nth: number) => void): Promise<RawBackend> {
    const backend = new RawBackend(onConnection);
    await new Promise<void>((resolve) => backend.#server.listen(0, '127.0.0.1', resolve));
    return backend;
  }

  get endpoint(): string {
    return `127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
