import net from 'node:net';
import tls from 'node:tls';
import type { Duplex } from 'node:stream';
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
    socket.on('data', this.#onData);
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
    return typeof data === 'string' ? this.#socket.write(data, 'latin1') : this.#socket.write(data);
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
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onClose);
    socket.off('error', this.#onError);
    socket.pause();
    if (unused && unused.length > 0) socket.unshift(unused);
    return socket;
  }

  readonly #onData = (bytes: Buffer): void => this.handler.wireData(bytes);
  readonly #onDrain = (): void => this.handler.wireDrained();
  readonly #onEnd = (): void => this.handler.wireEnded();
  readonly #onError = (error: Error): void => {
    this.#error = error;
  };
  readonly #onClose = (): void => {
    if (!this.#detached) this.handler.wireClosed(this.#error);
  };
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
    : net.connect({ host: address.host, port: address.port, noDelay: true, allowHalfOpen: true });
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
