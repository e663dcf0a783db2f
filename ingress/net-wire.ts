import type net from 'node:net';
import tls from 'node:tls';
import type { Duplex } from 'node:stream';
import { LentSocket } from './lent-socket.ts';
import { holdForWriting, releaseWritten } from './write-buffers.ts';
import {
  type Address,
  type Connector,
  deafHandler,
  type UpstreamTls,
  type Wire,
  type WireHandler,
} from './wire.ts';

/** The portable engine: wires over node:net and node:tls sockets. */
export class NetWire implements Wire {
  handler: WireHandler = deafHandler;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localPort: number;
  readonly #socket: net.Socket;
  #error: Error | undefined;
  #detached = false;

  /** The addresses come from the caller where a PROXY header or a connect in progress knows better. */
  constructor(socket: net.Socket, remote: { address: string; port: number }, localPort: number) {
    this.#socket = socket;
    this.remoteAddress = remote.address;
    this.remotePort = remote.port;
    this.localPort = localPort;
    const lent = socket instanceof LentSocket;
    if (lent) socket.reader = this.#onBytes;
    // what was read before us and put back comes the ordinary way
    if (!lent || socket.readableLength > 0) socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  write(data: Uint8Array | string): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true;
    if (typeof data === 'string') return this.#socket.write(data, 'latin1');
    const held = holdForWriting(data);
    return this.#socket.write(held, () => releaseWritten(held));
  }

  finish(): void {
    if (!this.#socket.writableEnded) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  detach(unused: Buffer | undefined): Duplex {
    const socket = this.#socket;
    this.#detached = true;
    this.handler = deafHandler;
    if (socket instanceof LentSocket) socket.reader = undefined;
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onClose);
    socket.off('error', this.#onError);
    socket.pause();
    if (unused && unused.length > 0) socket.unshift(Buffer.from(unused));
    return socket;
  }

  readonly #onBytes = (bytes: Buffer): void => this.handler.wireData(bytes);
  readonly #onData = (bytes: Buffer): void => {
    this.handler.wireData(bytes);
    freeMemory(bytes);
  };
  readonly #onDrain = (): void => this.handler.wireDrained();
  readonly #onEnd = (): void => this.handler.wireEnded();
  readonly #onError = (error: Error): void => {
    this.#error = error;
  };
  readonly #onClose = (): void => {
    if (!this.#detached) this.handler.wireClosed(this.#error);
  };
}

/** Buffers from here on are worth freeing by hand. */
const FREED_BYTES_MIN = 4 * 1024;

/**
 * Gives the memory of a read back now: it was lent and nobody has it any more. The collector does not hurry with
 * memory outside its heap, and a long body would grow the process by tens of megabytes.
 */
function freeMemory(bytes: Buffer): void {
  const { buffer } = bytes;
  if (buffer.byteLength < FREED_BYTES_MIN || bytes.byteLength !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/** A socket on its way to an endpoint, over TLS where asked; `connected` is called when it may be used. */
export function connectSocket(
  address: Address,
  options: UpstreamTls | undefined,
  connected: () => void,
): net.Socket {
  const socket = options
    ? tls.connect({
        host: address.host,
        port: address.port,
        rejectUnauthorized: options.verify,
        ALPNProtocols: [...options.alpn],
        ...(options.serverName !== undefined && { servername: options.serverName }),
        ...(options.ca !== undefined && { ca: options.ca }),
        ...(options.cert !== undefined && { cert: options.cert, key: options.key }),
        ...(options.minVersion && { minVersion: options.minVersion }),
        ...(options.ciphers && { ciphers: options.ciphers }),
        ...(!options.verify && { checkServerIdentity: () => undefined }),
      })
    : new LentSocket().connect({ host: address.host, port: address.port });
  socket.once(options ? 'secureConnect' : 'connect', connected);
  return socket;
}

/** Connects with node:net or node:tls. */
export const netConnector: Connector = {
  connect(address, options, connected) {
    const socket = connectSocket(address, options, connected);
    return new NetWire(socket, { address: address.host, port: address.port }, 0);
  },
};
