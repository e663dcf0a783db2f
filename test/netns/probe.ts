import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import type { NetworkNamespace } from '../support/network-namespace.ts';

/** Where a connection arrived, as the one who answered saw it. */
export interface Arrival {
  /** `ip:port` of the listener. */
  readonly at: string;
  readonly peer: string;
}

export type Outcome =
  | { readonly kind: 'arrived'; readonly arrival: Arrival }
  | { readonly kind: 'refused' }
  | { readonly kind: 'silence' }
  | { readonly kind: 'error'; readonly code: string };

export interface Route {
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly sourcePort?: number;
}

/** Answers every connection and datagram with where it arrived and from whom. */
export class Listener implements AsyncDisposable {
  readonly #close: () => Promise<void>;

  private constructor(close: () => Promise<void>) {
    this.#close = close;
  }

  static async open(
    namespace: NetworkNamespace,
    address: string,
    port: number,
    protocol: 'tcp' | 'udp',
  ): Promise<Listener> {
    using _inside = namespace.enter();
    const at = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    return new Listener(
      protocol === 'tcp' ? await listenTcp(address, port, at) : await listenUdp(address, port, at),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}

async function listenTcp(address: string, port: number, at: string): Promise<() => Promise<void>> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(JSON.stringify({ at, peer: socket.remoteAddress ?? '' } satisfies Arrival));
  });
  server.listen({ host: address, port, backlog: 1024 });
  await once(server, 'listening');
  return async () => void (await new Promise((resolve) => server.close(resolve)));
}

async function listenUdp(address: string, port: number, at: string): Promise<() => Promise<void>> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (_datagram, from) =>
    socket.send(JSON.stringify({ at, peer: from.address }), from.port, from.address),
  );
  socket.on('error', () => {});
  socket.bind(port, address);
  await once(socket, 'listening');
  return () => new Promise((resolve) => socket.close(() => resolve()));
}

/** Opens one connection from a source and says what became of it; silence after `patienceMs`. */
export async function attempt(
  namespace: NetworkNamespace,
  route: Route,
  patienceMs: number,
): Promise<Outcome> {
  return route.protocol === 'tcp'
    ? await attemptTcp(namespace, route, patienceMs)
    : await attemptUdp(namespace, route, patienceMs);
}

const failed = (error: NodeJS.ErrnoException): Outcome =>
  error.code === 'ECONNREFUSED' ? { kind: 'refused' } : { kind: 'error', code: error.code ?? error.message };

async function attemptTcp(
  namespace: NetworkNamespace,
  { source, destination, port, sourcePort }: Route,
  patienceMs: number,
): Promise<Outcome> {
  const inside = namespace.enter();
  const socket = connect({
    host: destination,
    port,
    localAddress: source,
    ...(sourcePort !== undefined && { localPort: sourcePort }),
  });
  const outcome = new Promise<Outcome>((resolve) => {
    const chunks: Buffer[] = [];
    socket.setTimeout(patienceMs, () => resolve({ kind: 'silence' }));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error) => resolve(failed(error)));
    socket.on('end', () => resolve(arrived(Buffer.concat(chunks))));
  });
  // the socket is made on the next tick, and must be made in there
  await new Promise((resolve) => setImmediate(resolve));
  inside[Symbol.dispose]();
  const result = await outcome;
  socket.destroy();
  return result;
}

async function attemptUdp(
  namespace: NetworkNamespace,
  { source, destination, port, sourcePort }: Route,
  patienceMs: number,
): Promise<Outcome> {
  const socket: DatagramSocket = createSocket(destination.includes(':') ? 'udp6' : 'udp4');
  try {
    {
      using _inside = namespace.enter();
      socket.bind(sourcePort ?? 0, source);
      await once(socket, 'listening');
    }
    return await new Promise<Outcome>((resolve) => {
      const timer = setTimeout(() => resolve({ kind: 'silence' }), patienceMs);
      const done = (outcome: Outcome): void => {
        clearTimeout(timer);
        resolve(outcome);
      };
      socket.on('error', (error) => done(failed(error)));
      socket.on('message', (datagram) => done(arrived(datagram)));
      // connected, so that an ICMP error becomes an error of the socket
      socket.connect(port, destination, () => socket.send('?'));
    });
  } finally {
    socket.close();
  }
}

function arrived(data: Buffer): Outcome {
  const arrival = JSON.parse(data.toString()) as Arrival;
  return { kind: 'arrived', arrival: { ...arrival, peer: arrival.peer.replace(/^::ffff:/, '') } };
}
