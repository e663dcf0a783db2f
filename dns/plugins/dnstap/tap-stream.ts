import type { Socket } from 'node:net';
import type { Clock } from '../../../src/base/clock.ts';
import { CONTROL, controlFrame, ControlReader, dataFrame } from './frame-stream.ts';
import { HANDSHAKE_MS } from './limits.ts';

/**
 * The sender's side of one Frame Streams connection, whoever opened it: READY, the receiver's ACCEPT, START, then
 * data. A receiver that wants something else, or says nothing, ends the connection with an error on the socket.
 */
export class TapStream {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #onOpen: () => void;
  #timer: Disposable;
  #open = false;

  /** The socket must be connected (and past its TLS handshake). */
  constructor(clock: Clock, socket: Socket, onOpen: () => void) {
    const frames = new ControlReader();
    this.#clock = clock;
    this.#socket = socket;
    this.#onOpen = onOpen;
    this.#timer = clock.setTimer(HANDSHAKE_MS, () =>
      socket.destroy(new Error(`no answer within ${HANDSHAKE_MS} ms`)),
    );
    socket.on('data', (chunk: Uint8Array) => this.#control(frames, chunk));
    socket.on('close', () => {
      this.#open = false;
      this.#timer[Symbol.dispose]();
    });
    socket.write(controlFrame(CONTROL.READY));
  }

  /** The receiver has accepted; data may go. */
  get open(): boolean {
    return this.#open;
  }

  /** Octets that the receiver has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  send(payload: Uint8Array): void {
    this.#socket.write(dataFrame(payload));
  }

  /** Says goodbye (STOP) and waits for the receiver's FINISH, as long as a handshake may take. */
  async end(): Promise<void> {
    const socket = this.#socket;
    if (!this.#open) return void socket.destroy();
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(HANDSHAKE_MS, resolve);
      socket.once('close', () => {
        timer[Symbol.dispose]();
        resolve();
      });
      socket.end(controlFrame(CONTROL.STOP));
    });
    socket.destroy();
  }

  #control(frames: ControlReader, chunk: Uint8Array): void {
    frames.push(chunk);
    for (let read = frames.next(); read.kind !== 'more'; read = frames.next()) {
      if (read.kind === 'fault') return void this.#socket.destroy(new Error(read.reason));
      if (read.type === CONTROL.FINISH) return void this.#socket.destroy();
      if (read.type !== CONTROL.ACCEPT || !read.takesDnstap) {
        return void this.#socket.destroy(new Error('the receiver does not take dnstap'));
      }
      this.#timer[Symbol.dispose]();
      this.#socket.write(controlFrame(CONTROL.START));
      this.#open = true;
      this.#onOpen();
    }
  }
}
