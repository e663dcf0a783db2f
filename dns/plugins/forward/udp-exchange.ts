import { createSocket, type Socket } from 'node:dgram';
import { randomInt } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.ts';
import { Fault } from '../../../src/base/fault.ts';
import type { Peer } from '../../query.ts';

/** Sockets open to one upstream: each has a random source port of its own. */
const SOCKETS_MAX = 32;
/** A socket is replaced after so many questions, so that its port cannot be learned. */
const QUESTIONS_PER_SOCKET = 512;
/** How long an unused socket stays open. */
const SOCKET_IDLE_MS = 10_000;

interface Waiting {
  readonly accept: (bytes: Uint8Array) => boolean;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

interface OpenSocket {
  readonly socket: Socket;
  readonly waiting: Map<number, Waiting>;
  asked: number;
  idle: Disposable | undefined;
}

/**
 * Questions to one upstream over UDP, each with a random id on one of many random ports (RFC 5452). Sockets are
 * connected, so the kernel drops what does not come from the upstream's address and port.
 */
export class UdpExchange implements Disposable {
  readonly #clock: Clock;
  readonly #to: Peer;
  readonly #source: string | undefined;
  readonly #sockets: OpenSocket[] = [];

  constructor(deps: { clock: Clock }, to: Peer, source: string | undefined) {
    this.#clock = deps.clock;
    this.#to = to;
    this.#source = source;
  }

  /**
   * Sends bytes under a fresh id and waits for a reply with that id that `accept` takes; others are ignored and
   * waited past. `from` hears which address the question leaves from. Rejects on timeout (UPSTREAM_TIMEOUT) and
   * socket errors.
   */
  async ask(
    bytes: Uint8Array,
    accept: (reply: Uint8Array) => boolean,
    timeoutMs: number,
    signal: AbortSignal,
    from: (local: Peer) => void = () => {},
  ): Promise<Uint8Array> {
    const open = await this.#pick();
    from(open.socket.address());
    const id = freeId(open);
    const question = Uint8Array.from(bytes);
    question[0] = id >> 8;
    question[1] = id & 0xff;
    open.asked++;
    open.idle?.[Symbol.dispose]();
    return await new Promise<Uint8Array>((resolve, reject) => {
      const settle = (): void => {
        timer[Symbol.dispose]();
        signal.removeEventListener('abort', onAbort);
        open.waiting.delete(id);
        this.#rest(open);
      };
      const fail = (error: Error): void => {
        settle();
        reject(error);
      };
      const onAbort = (): void => fail(signal.reason as Error);
      const timer = this.#clock.setTimer(timeoutMs, () =>
        fail(new Fault('UPSTREAM_TIMEOUT', `no answer within ${timeoutMs} ms`)),
      );
      signal.addEventListener('abort', onAbort, { once: true });
      const done = (reply: Uint8Array): void => {
        settle();
        resolve(reply);
      };
      open.waiting.set(id, { accept, resolve: done, reject: fail });
      open.socket.send(question, (error) => error && fail(error));
    });
  }

  [Symbol.dispose](): void {
    for (const open of this.#sockets.splice(0)) this.#close(open);
  }

  async #pick(): Promise<OpenSocket> {
    const fresh = this.#sockets.length < SOCKETS_MAX;
    const found = fresh ? undefined : this.#sockets[randomInt(this.#sockets.length)];
    if (found && found.asked < QUESTIONS_PER_SOCKET) return found;
    if (found) this.#sockets.splice(this.#sockets.indexOf(found), 1);
    const open = await this.#open();
    this.#sockets.push(open);
    return open;
  }

  async #open(): Promise<OpenSocket> {
    const six = this.#to.address.includes(':');
    const socket = createSocket({ type: six ? 'udp6' : 'udp4' });
    const open: OpenSocket = { socket, waiting: new Map(), asked: 0, idle: undefined };
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ port: 0, ...(this.#source !== undefined && { address: this.#source }) }, () => {
        // Node hands a failed connect (no route) to this callback, and not to 'error'.
        const connected = (error?: Error): void => {
          socket.off('error', reject);
          if (error) reject(error);
          else resolve();
        };
        socket.connect(this.#to.port, this.#to.address, connected);
      });
    }).catch((error: unknown) => {
      socket.close();
      throw error;
    });
    socket.on('message', (bytes) => receive(open, bytes));
    // ECONNREFUSED from ICMP: nobody listens there, no use in waiting for the timeout.
    socket.on('error', (error) => {
      for (const waiting of open.waiting.values()) waiting.reject(error);
    });
    return open;
  }

  #rest(open: OpenSocket): void {
    if (open.waiting.size > 0) return;
    if (!this.#sockets.includes(open)) return this.#close(open);
    open.idle?.[Symbol.dispose]();
    open.idle = this.#clock.setTimer(SOCKET_IDLE_MS, () => {
      if (open.waiting.size > 0) return;
      const at = this.#sockets.indexOf(open);
      if (at >= 0) this.#sockets.splice(at, 1);
      this.#close(open);
    });
  }

  #close(open: OpenSocket): void {
    open.idle?.[Symbol.dispose]();
    for (const waiting of open.waiting.values()) waiting.reject(new Error('upstream closed'));
    try {
      open.socket.close();
    } catch {
      // closed before: nothing is left to release
    }
  }
}

function receive(open: OpenSocket, bytes: Uint8Array): void {
  if (bytes.length < 12) return;
  const waiting = open.waiting.get((bytes[0]! << 8) | bytes[1]!);
  if (waiting?.accept(bytes)) waiting.resolve(bytes);
}

function freeId(open: OpenSocket): number {
  let id = randomInt(0x10000);
  while (open.waiting.has(id)) id = randomInt(0x10000);
  return id;
}
