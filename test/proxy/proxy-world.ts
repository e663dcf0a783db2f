import { createServer, connect, type Server, type Socket } from 'node:net';
import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { exec } from '../../src/net/exec.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import { Proxier, type ProxierOptions } from '../../proxy/proxier.ts';
import { SETTINGS_DEFAULT } from '../../proxy/settings.ts';

/** A tracker and a userspace proxy over it, as `weft up` joins them. */
export class ProxyWorld implements AsyncDisposable {
  readonly tracker: Tracker;
  readonly proxier: Proxier;

  private constructor(tracker: Tracker, proxier: Proxier) {
    this.tracker = tracker;
    this.proxier = proxier;
  }

  static async open(
    objects: readonly KubeObject[],
    options: Partial<ProxierOptions> & { nodePortAddresses?: readonly string[] } = {},
  ): Promise<ProxyWorld> {
    const tracker = new Tracker({ log: silentLogger });
    for (const object of objects) tracker.upsert(object);
    tracker.flush();
    const settings = {
      ...SETTINGS_DEFAULT,
      mode: 'userspace' as const,
      nodeName: 'alpha',
      families: ['IPv4', 'IPv6'] as const,
      nodePortAddresses: options.nodePortAddresses ?? ['127.0.0.0/8'],
    };
    const proxier = await Proxier.open(
      { snapshots: tracker, clock: systemClock, log: silentLogger, exec, hostAddresses: () => [] },
      { settings, minSyncMs: 0, syncPeriodMs: 30_000, drainDeadlineMs: 100, ...options },
    );
    return new ProxyWorld(tracker, proxier);
  }

  /** Applies objects and waits until the proxy serves them. */
  async apply(...objects: readonly KubeObject[]): Promise<void> {
    for (const object of objects) this.tracker.upsert(object);
    await this.proxier.applied(this.tracker.flush());
  }

  async remove(...objects: readonly KubeObject[]): Promise<void> {
    for (const object of objects) this.tracker.remove(object);
    await this.proxier.applied(this.tracker.flush());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxier[Symbol.asyncDispose]();
  }
}

export interface EchoServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly connections: number;
}

/** A TCP server that names itself, then echoes; ends its side when the client has ended. */
export async function tcpEcho(address: string, name: string, port = 0): Promise<EchoServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.write(`${name}\n`);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
  return {
    address,
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A UDP server that answers each datagram with `name:datagram`. */
export async function udpEcho(address: string, name: string, port = 0): Promise<EchoServer> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  let connections = 0;
  socket.on('message', (datagram, from) => {
    connections++;
    socket.send(`${name}:${datagram.toString()}`, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  return {
    address,
    port: socket.address().port,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

/** Connects, sends, ends its side, and returns all that came until the peer ended. Rejects on reset. */
export function exchange(host: string, port: number, text = 'hello', from?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ...(from !== undefined && { localAddress: from }) });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('end', () => resolve(Buffer.concat(chunks).toString()));
    socket.end(text);
  });
}

/** Sends one datagram and waits for the answer. */
export function ask(host: string, port: number, text: string, timeoutMs = 2_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error('no answer'));
    }, timeoutMs);
    socket.on('message', (datagram, from) => {
      clearTimeout(timer);
      socket.close();
      if (from.address === host) resolve(datagram.toString());
      else reject(new Error(`answer from ${from.address}`));
    });
    socket.send(text, port, host);
  });
}
