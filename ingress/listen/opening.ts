import type net from 'node:net';
import { TLS_HANDSHAKE_MS } from '../limits.ts';
import { Deadline, type TimerWheel } from '../timer-wheel.ts';

/** Reads the first bytes of a connection before a protocol owns it. */
export class Opening {
  held: Buffer = Buffer.alloc(0);
  readonly #socket: net.Socket;
  readonly #wheel: TimerWheel;
  readonly #refused: (reason: string) => void;
  readonly #deadline: Deadline;
  #onBytes: (() => void) | undefined;

  constructor(socket: net.Socket, wheel: TimerWheel, refused: (reason: string) => void) {
    this.#socket = socket;
    this.#wheel = wheel;
    this.#refused = refused;
    this.#deadline = new Deadline(() => this.#refuse('timeout before the first request'));
    wheel.arm(this.#deadline, TLS_HANDSHAKE_MS);
    socket.on('data', this.#data);
    socket.on('error', this.#ignore);
    socket.on('end', this.#ended);
    socket.on('close', this.#closed);
  }

  /** Calls `done` with the first value `parse` makes of the bytes; closes when it cannot. */
  read<T extends object>(
    bytesMax: number,
    parse: (bytes: Buffer) => T | string | undefined,
    done: (value: T, bytes: Buffer) => void,
  ): void {
    this.#onBytes = () => {
      const value = this.held.length === 0 ? undefined : parse(this.held);
      if (typeof value === 'string') return this.#refuse(value);
      if (value !== undefined) return done(value, this.held);
      if (this.held.length > bytesMax) this.#refuse('first bytes too long');
    };
    this.#onBytes();
  }

  /** The socket with the bytes put back; nothing of this object listens any more. */
  release(): net.Socket {
    const socket = this.#socket;
    this.#wheel.remove(this.#deadline);
    this.#onBytes = undefined;
    socket.off('data', this.#data);
    socket.off('error', this.#ignore);
    socket.off('end', this.#ended);
    socket.off('close', this.#closed);
    socket.pause();
    if (this.held.length > 0) socket.unshift(this.held);
    return socket;
  }

  #refuse(reason: string): void {
    this.#refused(reason);
    this.#socket.destroy();
  }

  readonly #data = (bytes: Buffer): void => {
    this.held = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes]);
    this.#onBytes?.();
  };
  readonly #ignore = (): void => {}; // `close` follows
  readonly #ended = (): void => void this.#socket.destroy();
  readonly #closed = (): void => this.#wheel.remove(this.#deadline);
}
