import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import { CONTROL, controlFrame, ControlReader, dataFrame } from './frame-stream.ts';
import { HANDSHAKE_MS, QUEUE_MESSAGES, RECONNECT_MS, REPORT_DROPS_MS, WRITE_BUFFER_BYTES } from './limits.ts';

export type ReceiverAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number };

export interface SenderOptions {
  readonly to: ReceiverAddress;
  /** Times QUEUE_MESSAGES. */
  readonly queue: number;
  /** Times WRITE_BUFFER_BYTES. */
  readonly writeBuffer: number;
  readonly skipVerify: boolean;
}

/**
 * Sends frames to one receiver, over and over again when the connection ends. Never waits and never blocks an answer:
 * what the receiver does not take in time waits in a bounded queue, and beyond that is dropped and counted.
 */
export class DnstapSender implements AsyncDisposable {
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #options: SenderOptions;
  readonly #onDrop: () => void;
  readonly #queue: Uint8Array[] = [];
  #socket: Socket | undefined;
  /** The receiver has accepted; frames may go. */
  #open = false;
  #timer: Disposable | undefined;
  #report: Disposable | undefined;
  #dropped = 0;
  #closed = false;

  constructor(
    deps: { readonly clock: Clock; readonly log: Logger },
    options: SenderOptions,
    onDrop: () => void,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#onDrop = onDrop;
    this.#connect();
  }

  send(payload: Uint8Array): void {
    if (this.#queue.length >= this.#options.queue * QUEUE_MESSAGES) return this.#drop();
    this.#queue.push(payload);
    this.#flush();
  }

  /** Says goodbye (STOP) and waits for the receiver's FINISH, as long as a handshake may take. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#report?.[Symbol.dispose]();
    const socket = this.#socket;
    if (!socket || !this.#open) return void socket?.destroy();
    await new Promise<void>((resolve) => {
      const timer = this.#deps.clock.setTimer(HANDSHAKE_MS, resolve);
      socket.once('close', () => {
        timer[Symbol.dispose]();
        resolve();
      });
      socket.end(controlFrame(CONTROL.STOP));
    });
    socket.destroy();
  }

  #flush(): void {
    const socket = this.#socket;
    if (!this.#open || !socket || this.#queue.length === 0) return;
    const most = this.#options.writeBuffer * WRITE_BUFFER_BYTES;
    socket.cork();
    let sent = 0;
    while (sent < this.#queue.length && socket.writableLength < most) {
      socket.write(dataFrame(this.#queue[sent++]!));
    }
    this.#queue.splice(0, sent);
    socket.uncork();
  }

  #connect(): void {
    if (this.#closed) return;
    const socket = this.#dial();
    const frames = new ControlReader();
    this.#socket = socket;
    this.#timer = this.#deps.clock.setTimer(HANDSHAKE_MS, () =>
      socket.destroy(new Error(`no answer within ${HANDSHAKE_MS} ms`)),
    );
    const ready = this.#options.to.kind === 'tls' ? 'secureConnect' : 'connect';
    socket.once(ready, () => socket.write(controlFrame(CONTROL.READY)));
    socket.on('data', (chunk: Uint8Array) => this.#control(socket, frames, chunk));
    socket.on('drain', () => this.#flush());
    socket.on('error', (error) => {
      this.#deps.log.warn('dnstap receiver not reached', { to: this.#label, reason: error.message });
    });
    socket.on('close', () => this.#ended());
  }

  #dial(): Socket {
    const { to, skipVerify } = this.#options;
    if (to.kind === 'unix') return connect({ path: to.path });
    const target = { host: to.host, port: to.port };
    return to.kind === 'tls' ? connectTls({ ...target, rejectUnauthorized: !skipVerify }) : connect(target);
  }

  #control(socket: Socket, frames: ControlReader, chunk: Uint8Array): void {
    frames.push(chunk);
    for (let read = frames.next(); read.kind !== 'more'; read = frames.next()) {
      if (read.kind === 'fault') return void socket.destroy(new Error(read.reason));
      if (read.type === CONTROL.FINISH) return void socket.destroy();
      if (read.type !== CONTROL.ACCEPT || !read.takesDnstap) {
        return void socket.destroy(new Error('the receiver does not take dnstap'));
      }
      this.#timer?.[Symbol.dispose]();
      socket.write(controlFrame(CONTROL.START));
      this.#open = true;
      this.#flush();
    }
  }

  #ended(): void {
    this.#timer?.[Symbol.dispose]();
    this.#open = false;
    this.#socket = undefined;
    if (!this.#closed) this.#timer = this.#deps.clock.setTimer(RECONNECT_MS, () => this.#connect());
  }

  #drop(): void {
    this.#dropped++;
    this.#onDrop();
    this.#report ??= this.#deps.clock.setTimer(REPORT_DROPS_MS, () => {
      this.#deps.log.warn('dnstap messages dropped', { to: this.#label, count: this.#dropped });
      this.#dropped = 0;
      this.#report = undefined;
    });
  }

  get #label(): string {
    const { to } = this.#options;
    return to.kind === 'unix' ? to.path : `${to.kind}://${to.host}:${to.port}`;
  }
}
