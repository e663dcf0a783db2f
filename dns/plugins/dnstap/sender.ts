import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import { labelOf, type TapAddress } from './address.ts';
import { HANDSHAKE_MS, QUEUE_MESSAGES, RECONNECT_MS, REPORT_DROPS_MS, WRITE_BUFFER_BYTES } from './limits.ts';
import { TapStream } from './tap-stream.ts';

export interface SenderOptions {
  readonly to: TapAddress;
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
  #stream: TapStream | undefined;
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#report?.[Symbol.dispose]();
    await this.#stream?.end();
    this.#socket?.destroy();
  }

  #flush(): void {
    const [socket, stream] = [this.#socket, this.#stream];
    if (!socket || !stream?.open || this.#queue.length === 0) return;
    const most = this.#options.writeBuffer * WRITE_BUFFER_BYTES;
    socket.cork();
    let sent = 0;
    while (sent < this.#queue.length && stream.unsentBytes < most) stream.send(this.#queue[sent++]!);
    this.#queue.splice(0, sent);
    socket.uncork();
  }

  #connect(): void {
    if (this.#closed) return;
    const socket = this.#dial();
    this.#socket = socket;
    this.#timer = this.#deps.clock.setTimer(HANDSHAKE_MS, () =>
      socket.destroy(new Error(`no connection within ${HANDSHAKE_MS} ms`)),
    );
    const ready = this.#options.to.kind === 'tls' ? 'secureConnect' : 'connect';
    socket.once(ready, () => {
      this.#timer?.[Symbol.dispose]();
      this.#stream = new TapStream(this.#deps.clock, socket, () => this.#flush());
    });
    socket.on('drain', () => this.#flush());
    socket.on('error', (error) => {
      this.#deps.log.warn('dnstap receiver not reached', {
        to: labelOf(this.#options.to),
        reason: error.message,
      });
    });
    socket.on('close', () => this.#ended());
  }

  #dial(): Socket {
    const { to, skipVerify } = this.#options;
    if (to.kind === 'unix') return connect({ path: to.path });
    const target = { host: to.host, port: to.port };
    return to.kind === 'tls' ? connectTls({ ...target, rejectUnauthorized: !skipVerify }) : connect(target);
  }

  #ended(): void {
    this.#timer?.[Symbol.dispose]();
    this.#stream = undefined;
    this.#socket = undefined;
    if (!this.#closed) this.#timer = this.#deps.clock.setTimer(RECONNECT_MS, () => this.#connect());
  }

  #drop(): void {
    this.#dropped++;
    this.#onDrop();
    this.#report ??= this.#deps.clock.setTimer(REPORT_DROPS_MS, () => {
      this.#deps.log.warn('dnstap messages dropped', { to: labelOf(this.#options.to), count: this.#dropped });
      this.#dropped = 0;
      this.#report = undefined;
    });
  }
}
