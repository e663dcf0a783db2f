import { unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Clock } from '../../../src/base/clock.ts';
import { Fault, messageOf } from '../../../src/base/fault.ts';
import type { Logger } from '../../../src/base/log.ts';
import type { TlsFiles } from '../../block-settings.ts';
import { guardTls, readTlsOptions } from '../../server/tls-options.ts';
import { LISTEN_UNSENT_BYTES, RECEIVERS } from './limits.ts';
import { labelOf, type TapAddress } from './address.ts';
import { TapStream } from './tap-stream.ts';

export interface ListenerOptions {
  readonly at: TapAddress;
  /** Of `tls` addresses. */
  readonly tls: TlsFiles | undefined;
}

/**
 * Lets receivers connect to us. Each gets every message from then on; nothing waits for one: a receiver that does not
 * take its messages in time is cut off.
 */
export class DnstapListener implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #at: TapAddress;
  readonly #server: Server;
  readonly #onDrop: () => void;
  readonly #streams = new Map<Socket, TapStream>();

  readonly #listening: Promise<void>;

  constructor(
    deps: { readonly clock: Clock; readonly log: Logger },
    options: ListenerOptions,
    onDrop: () => void,
  ) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#at = options.at;
    this.#onDrop = onDrop;
    this.#server = options.tls ? createTlsServer(readTlsOptions(options.tls)) : createServer();
    if (options.tls) guardTls(this.#server, options.tls);
    this.#server.on(options.tls ? 'secureConnection' : 'connection', (socket: Socket) =>
      this.#accept(socket),
    );
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#listening = this.#listen();
    this.#listening.catch(() => {}); // told by `opened`
  }

  /** Rejects with Fault LISTEN_FAILED. */
  async opened(): Promise<void> {
    await this.#listening;
  }

  send(payload: Uint8Array): void {
    for (const [socket, stream] of this.#streams) {
      if (!stream.open) continue;
      if (stream.unsentBytes <= LISTEN_UNSENT_BYTES) stream.send(payload);
      else {
        this.#onDrop();
        socket.destroy(new Error('it does not take its messages'));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    await Promise.all([...this.#streams.values()].map((stream) => stream.end()));
    await closed;
  }

  async #listen(): Promise<void> {
    const at = this.#at;
    // A socket file that a process before us left behind.
    if (at.kind === 'unix') removeFile(at.path);
    const where = at.kind === 'unix' ? { path: at.path } : { host: at.host, port: at.port };
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) => {
        const message = `cannot listen for dnstap receivers on ${labelOf(at)}: ${messageOf(cause)}`;
        reject(new Fault('LISTEN_FAILED', message, { cause }));
      });
      this.#server.listen(where, resolve);
    });
  }

  #accept(socket: Socket): void {
    socket.on('error', (error) => {
      this.#log.warn('dnstap receiver cut off', { at: labelOf(this.#at), reason: error.message });
    });
    if (this.#streams.size >= RECEIVERS)
      return void socket.destroy(new Error(`more than ${RECEIVERS} receivers`));
    this.#streams.set(socket, new TapStream(this.#clock, socket, () => {}));
    socket.once('close', () => this.#streams.delete(socket));
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // nothing was left behind
  }
}
