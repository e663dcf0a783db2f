import dgram from 'node:dgram';
import { Fault } from '../../src/base/fault.ts';
import { Deadline } from '../timer-wheel.ts';
import { inTurn } from './dial.ts';
import type { StreamRule } from './stream-rules.ts';
import { STREAM_IDLE_MS, type StreamDeps } from './tcp-port.ts';

/** Clients with a session on one port. Over: datagrams of new clients are dropped and counted. */
const SESSIONS_MAX = 10_000;
const WAITING_MAX = 16;

interface Session {
  readonly socket: dgram.Socket;
  readonly deadline: Deadline;
  /** Datagrams until the socket is connected. */
  waiting: Buffer[] | undefined;
}

/** One exposed UDP port: a client keeps its endpoint while datagrams go either way. */
export class UdpPort implements AsyncDisposable {
  rule: StreamRule;
  readonly #deps: StreamDeps;
  readonly #server: dgram.Socket;
  readonly #sessions = new Map<string, Session>();

  private constructor(deps: StreamDeps, rule: StreamRule, server: dgram.Socket) {
    this.#deps = deps;
    this.rule = rule;
    this.#server = server;
    server.on('message', (bytes, { address, port }) => this.#received(bytes, address, port));
    server.on('error', (error) => deps.dropped(error.message));
  }

  static async open(deps: StreamDeps, host: string, rule: StreamRule): Promise<UdpPort> {
    const server = dgram.createSocket({ type: host.includes(':') ? 'udp6' : 'udp4' });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        server.close();
        reject(
          new Fault('STREAM_LISTEN', `udp ${host}:${rule.port}: ${cause.code ?? cause.message}`, { cause }),
        );
      });
      server.bind({ address: host, port: rule.port }, resolve);
    });
    server.removeAllListeners('error');
    return new UdpPort(deps, rule, server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const key of this.#sessions.keys()) this.#end(key);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #received(bytes: Buffer, address: string, port: number): void {
    const key = `${address} ${port}`;
    const session = this.#sessions.get(key) ?? this.#begin(key, address, port);
    if (!session) return;
    this.#deps.wheel.arm(session.deadline, STREAM_IDLE_MS);
    if (!session.waiting) session.socket.send(bytes);
    else if (session.waiting.length < WAITING_MAX) session.waiting.push(bytes);
  }

  #begin(key: string, address: string, port: number): Session | undefined {
    if (this.#sessions.size >= SESSIONS_MAX) {
      this.#deps.dropped('too many UDP sessions');
      return undefined;
    }
    const cluster = this.#deps.cluster(this.rule.target);
    const endpoint = inTurn(cluster, this.#deps.nowMs())[0];
    if (!endpoint) {
      this.#deps.dropped(cluster.reason ?? 'no endpoint');
      return undefined;
    }
    const socket = dgram.createSocket(endpoint.address.host.includes(':') ? 'udp6' : 'udp4');
    const session: Session = { socket, deadline: new Deadline(() => this.#end(key)), waiting: [] };
    this.#sessions.set(key, session);
    socket.on('message', (bytes) => {
      this.#deps.wheel.arm(session.deadline, STREAM_IDLE_MS);
      this.#server.send(bytes, port, address, () => {}); // a client that is gone is no fault of ours
    });
    // refused or gone: the next datagram finds another endpoint
    socket.on('error', () => this.#end(key));
    socket.connect(endpoint.address.port, endpoint.address.host, () => {
      for (const bytes of session.waiting ?? []) socket.send(bytes);
      session.waiting = undefined;
    });
    return session;
  }

  #end(key: string): void {
    const session = this.#sessions.get(key);
    if (!session) return;
    this.#sessions.delete(key);
    this.#deps.wheel.remove(session.deadline);
    session.socket.close();
  }
}
