import { lastErrno } from '../libc.ts';
import { MSG_CTRUNC, MSG_TRUNC, MSG_WAITFORONE } from './abi.ts';
import { Arena } from './arena.ts';
import { callFault, datagramCalls } from './datagram-calls.ts';
import { CONTROL_BYTES, DatagramHeaders, NAME_BYTES } from './datagram-headers.ts';

/** Errors that leave a receive empty-handed and the socket well. */
const NOTHING_CAME: ReadonlySet<string> = new Set(['EAGAIN', 'EWOULDBLOCK', 'EINTR', 'ECONNREFUSED']);

export interface DatagramBatchOptions {
  readonly slots: number;
  readonly receiveBytes: number;
  readonly sendBytes: number;
  /** Receive and send packet information (wildcard sockets). */
  readonly wildcard: boolean;
}

/**
 * Receives and answers datagrams of one socket in batches; allocates nothing per datagram. One user, one thread.
 * After `receive` slot i holds a datagram in `received[i]`; `reply` queues an answer written into `outgoing`.
 */
export class DatagramBatch {
  readonly received: readonly Uint8Array[];
  readonly #fd: number;
  readonly #options: DatagramBatchOptions;
  readonly #arena: Arena;
  readonly #in: DatagramHeaders;
  readonly #out: DatagramHeaders;
  readonly #outgoing: readonly Uint8Array[];
  #count: number;
  #queued = 0;

  constructor(fd: number, options: DatagramBatchOptions) {
    const { slots, receiveBytes, sendBytes, wildcard } = options;
    this.#fd = fd;
    this.#options = options;
    this.#arena = new Arena(
      DatagramHeaders.bytes(slots, receiveBytes) + DatagramHeaders.bytes(slots, sendBytes),
    );
    const shape = { slots, wildcard, named: true };
    this.#in = new DatagramHeaders(this.#arena, { ...shape, bufferBytes: receiveBytes });
    this.#out = new DatagramHeaders(this.#arena, { ...shape, bufferBytes: sendBytes });
    this.received = this.#in.buffers;
    this.#outgoing = this.#out.buffers;
    this.#count = slots;
  }

  /** Where the next answer is to be written. */
  get outgoing(): Uint8Array {
    return this.#outgoing[this.#queued]!;
  }

  /** Waits for datagrams; how many came, 0 when the time was over. Throws a Fault named by errno. */
  receive(): number {
    this.#in.rearm(this.#count);
    const count = datagramCalls().recvmmsg(
      this.#fd,
      this.#in.address,
      this.#options.slots,
      MSG_WAITFORONE,
      null,
    );
    this.#count = Math.max(0, count);
    if (count < 0 && !NOTHING_CAME.has(lastErrno())) throw callFault('recvmmsg');
    return this.#count;
  }

  lengthOf(slot: number): number {
    return this.#in.movedBytes(slot);
  }

  /** Cut because it was larger than a slot, or came without room for its packet information. */
  isCut(slot: number): boolean {
    return (this.#in.flags(slot) & (MSG_TRUNC | MSG_CTRUNC)) !== 0;
  }

  /** Queues what was written into `outgoing` for the sender of slot. */
  reply(slot: number, sizeBytes: number): void {
    this.#out.copyPeer(this.#queued, this.#in, slot);
    this.#out.setSize(this.#queued++, sizeBytes);
  }

  /** The sender of slot has an IPv6 address, and is no IPv4 client of a dual-stack socket. */
  isSix(slot: number): boolean {
    return this.#in.isSix(slot);
  }

  /** The port that the datagram of slot came from. */
  portOf(slot: number): number {
    return this.#in.portOf(slot);
  }

  /** Writes the address of the sender of slot, an IPv4 client's as 4 bytes; returns its length. */
  copyAddress(slot: number, into: Uint8Array): number {
    return this.#in.copyAddress(slot, into);
  }

  /** The sender of slot and where it sent to, for an answer by DatagramSender later. */
  copyPeer(slot: number, into: Uint8Array, at: number): void {
    this.#in.savePeer(slot, into, at);
  }

  /** Sends what is queued. Returns how many the kernel refused. */
  flush(): number {
    let refused = 0;
    for (let sent = 0; sent < this.#queued;) {
      const headers = sent === 0 ? this.#out.address : this.#out.addressAt(sent);
      const count = datagramCalls().sendmmsg(this.#fd, headers, this.#queued - sent, 0);
      if (count > 0) sent += count;
      else if (lastErrno() !== 'EINTR') {
        // The first one of the rest cannot go (no route, a filter, no buffer): the others may.
        refused++;
        sent++;
      }
    }
    this.#queued = 0;
    return refused;
  }
}

/** Answers single datagrams to peers that a DatagramBatch saved. */
export class DatagramSender {
  readonly #fd: number;
  readonly #out: DatagramHeaders;

  constructor(fd: number, options: { readonly sendBytes: number; readonly wildcard: boolean }) {
    this.#fd = fd;
    const { sendBytes, wildcard } = options;
    const arena = new Arena(DatagramHeaders.bytes(1, sendBytes));
    this.#out = new DatagramHeaders(arena, { slots: 1, bufferBytes: sendBytes, wildcard, named: true });
  }

  /** False when the kernel refused it or it is larger than sendBytes. */
  send(bytes: Uint8Array, peer: Uint8Array): boolean {
    const [buffer] = this.#out.buffers;
    if (!buffer || bytes.length > buffer.length) return false;
    buffer.set(bytes);
    this.#out.loadPeer(0, peer);
    this.#out.setSize(0, bytes.length);
    return datagramCalls().sendmmsg(this.#fd, this.#out.address, 1, 0) === 1;
  }
}

/** What copyPeer writes: sockaddr, its size, packet information, its size. */
export const PEER_BYTES = NAME_BYTES + CONTROL_BYTES + 8;
