import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { parseAddress } from '../../src/net/ip.ts';
import { listenFault } from '../../src/net/listen-fault.ts';
import type { AskingClient } from '../cluster/table/raw-question.ts';
import { SOCKET_BUFFER_BYTES, UDP_PAYLOAD_BYTES } from '../limits.ts';
import type { Peer } from '../query.ts';
import type {
  DatagramCounts,
  DatagramEngine,
  DatagramHandler,
  DatagramOptions,
  FastPath,
  OpenDatagramEngine,
} from './datagram-engine.ts';

/** The engine on node:dgram: works wherever Node does. */
export const openPortableDatagram: OpenDatagramEngine = async (options, handler) => {
  const six = options.address.includes(':');
  // Answers go to numeric addresses: no resolver between us and the socket.
  const lookup = (host: string, _options: unknown, done: LookupDone): void => done(null, host, six ? 6 : 4);
  const socket = createSocket({ type: six ? 'udp6' : 'udp4', lookup });
  await bound(socket, options);
  return new PortableDatagram(socket, handler);
};

type LookupDone = (error: NodeJS.ErrnoException | null, address: string, family: number) => void;

class PortableDatagram implements DatagramEngine {
  readonly address: Peer;
  readonly counts: DatagramCounts = { received: 0, fast: 0, sendErrors: 0 };
  readonly #socket: Socket;
  readonly #handler: DatagramHandler;
  readonly #out = Buffer.alloc(UDP_PAYLOAD_BYTES);
  readonly #client = new Asking();
  #fast: FastPath | undefined;
  #open = true;

  constructor(socket: Socket, handler: DatagramHandler) {
    this.#socket = socket;
    this.#handler = handler;
    const { address, port } = socket.address();
    this.address = { address, port };
    socket.on('message', (bytes, from) => this.#receive(bytes, from));
    socket.on('error', () => void this.counts.sendErrors++);
  }

  useFastPath(fast: FastPath | undefined): void {
    this.#fast = fast;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #receive(bytes: Buffer, from: RemoteInfo): void {
    this.counts.received++;
    if (from.port === 0) return; // forged: nobody can hear an answer there
    const fast = this.#fast;
    const length = fast ? this.#answer(fast, bytes, from) : 0;
    if (fast && length > 0) {
      this.counts.fast++;
      // The kernel may take it later: the send must own its bytes.
      const answer = Buffer.allocUnsafe(length);
      this.#out.copy(answer, 0, 0, length);
      this.#socket.send(answer, from.port, from.address);
      return;
    }
    this.#handler(bytes, { address: plainAddress(from.address), port: from.port }, (reply) => {
      if (this.#open) this.#socket.send(reply, from.port, from.address, (error) => this.#sent(error));
    });
  }

  #answer(fast: FastPath, bytes: Buffer, from: RemoteInfo): number {
    const startedMs = performance.now();
    this.#client.from = from;
    const length = fast.answer(bytes, bytes.length, this.#out, this.#client);
    if (length > 0) fast.settle((performance.now() - startedMs) / 1000);
    return length;
  }

  #sent(error: Error | null): void {
    if (error) this.counts.sendErrors++;
  }
}

/** Who sent the datagram under way. */
class Asking implements AskingClient {
  from: RemoteInfo = { address: '', family: 'IPv4', port: 0, size: 0 };

  get port(): number {
    return this.from.port;
  }

  get six(): boolean {
    return this.from.family === 'IPv6' && plainAddress(this.from.address) === this.from.address;
  }

  writeAddress(into: Uint8Array): number {
    const bytes = parseAddress(plainAddress(this.from.address));
    if (bytes) into.set(bytes);
    return bytes?.length ?? 0;
  }
}

/** IPv4 clients of a dual-stack socket by their IPv4 address. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

async function bound(socket: Socket, { address, port }: DatagramOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: Error): void => {
      socket.close();
      reject(listenFault({ address, port, protocol: 'udp' }, cause));
    };
    socket.once('error', refuse);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', refuse);
      growBuffers(socket);
      resolve();
    });
  });
}

/** Larger socket buffers ride out pauses; the kernel may grant less. */
function growBuffers(socket: Socket): void {
  try {
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
  } catch {
    // Not fatal: the default buffers serve too.
  }
}
