import { lastErrno } from '../libc.ts';
import {
  AF_INET6,
  CMSG,
  IOVEC,
  IPPROTO_IP,
  MMSGHDR,
  MSG_CTRUNC,
  MSG_TRUNC,
  MSG_WAITFORONE,
  MSGHDR,
  SOCKADDR,
} from './abi.ts';
import { Arena } from './arena.ts';
import { callFault, datagramCalls } from './datagram-calls.ts';

/** Room for a sockaddr of either family. */
export const NAME_BYTES = 32;
/** Room for one packet information message of either family (IPv6: 40 bytes). */
export const CONTROL_BYTES = 48;
/** The third word of an IPv4-mapped IPv6 address as it lies in memory: 00 00 ff ff. */
const V4_MAPPED_WORD = 0xffff0000 | 0;
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
  readonly #in: Headers;
  readonly #out: Headers;
  readonly #outgoing: readonly Uint8Array[];
  #count: number;
  #queued = 0;

  constructor(fd: number, options: DatagramBatchOptions) {
    const { slots, receiveBytes, sendBytes } = options;
    this.#fd = fd;
    this.#options = options;
    this.#arena = new Arena(Headers.bytes(slots, receiveBytes) + Headers.bytes(slots, sendBytes));
    this.#in = new Headers(this.#arena, slots, receiveBytes, options.wildcard);
    this.#out = new Headers(this.#arena, slots, sendBytes, options.wildcard);
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
  readonly #out: Headers;

  constructor(fd: number, options: { readonly sendBytes: number; readonly wildcard: boolean }) {
    this.#fd = fd;
    const arena = new Arena(Headers.bytes(1, options.sendBytes));
    this.#out = new Headers(arena, 1, options.sendBytes, options.wildcard);
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

/** An array of struct mmsghdr with a name, a control message and one buffer each. */
class Headers {
  readonly address: number;
  readonly buffers: readonly Uint8Array[];
  readonly #arena: Arena;
  readonly #at: number;
  readonly #slots: number;
  readonly #iovecs: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #wildcard: boolean;

  constructor(arena: Arena, slots: number, bufferBytes: number, wildcard: boolean) {
    this.#arena = arena;
    this.#slots = slots;
    this.#wildcard = wildcard;
    this.#at = arena.allocate(slots * MMSGHDR.BYTES);
    this.#iovecs = arena.allocate(slots * IOVEC.BYTES);
    this.#names = arena.allocate(slots * NAME_BYTES);
    this.#controls = arena.allocate(slots * CONTROL_BYTES);
    const buffers = arena.allocate(slots * bufferBytes);
    this.address = arena.address(this.#at, slots * MMSGHDR.BYTES);
    this.buffers = Array.from({ length: slots }, (_slot, i) => {
      const buffer = buffers + i * bufferBytes;
      this.#lay(i, buffer, bufferBytes);
      return arena.bytes.subarray(buffer, buffer + bufferBytes);
    });
    this.rearm(slots);
  }

  static bytes(slots: number, bufferBytes: number): number {
    return slots * (MMSGHDR.BYTES + IOVEC.BYTES + NAME_BYTES + CONTROL_BYTES + bufferBytes) + 128;
  }

  /** Gives the kernel the whole room of the first `count` slots again: it overwrites sizes with what it used. */
  rearm(count: number): void {
    const { words } = this.#arena;
    for (let i = 0; i < count; i++) {
      const header = (this.#at + i * MMSGHDR.BYTES) >> 2;
      words[header + (MSGHDR.NAME_BYTES >> 2)] = NAME_BYTES;
      words[header + (MSGHDR.CONTROL_BYTES >> 2)] = this.#wildcard ? CONTROL_BYTES : 0;
    }
  }

  addressAt(slot: number): number {
    return this.#arena.address(this.#at + slot * MMSGHDR.BYTES, (this.#slots - slot) * MMSGHDR.BYTES);
  }

  movedBytes(slot: number): number {
    return this.#arena.words[(this.#at + slot * MMSGHDR.BYTES + MMSGHDR.LENGTH) >> 2]!;
  }

  flags(slot: number): number {
    return this.#arena.words[(this.#at + slot * MMSGHDR.BYTES + MSGHDR.FLAGS) >> 2]!;
  }

  setSize(slot: number, sizeBytes: number): void {
    this.#arena.words[(this.#iovecs + slot * IOVEC.BYTES + IOVEC.LENGTH) >> 2] = sizeBytes;
  }

  /** Takes the peer of another array's slot, in words. */
  copyPeer(slot: number, from: Headers, fromSlot: number): void {
    this.#takeWords(
      slot,
      from.#arena.words,
      from.#names + fromSlot * NAME_BYTES,
      from.#controls + fromSlot * CONTROL_BYTES,
    );
    this.#setSizes(slot, from.#nameBytes(fromSlot), from.#controlBytes(fromSlot));
    if (this.#wildcard) this.#anyInterface(slot);
  }

  isSix(slot: number): boolean {
    const { bytes, words } = this.#arena;
    const name = this.#names + slot * NAME_BYTES;
    if (bytes[name + SOCKADDR.FAMILY] !== AF_INET6) return false;
    const address = (name + SOCKADDR.V6) >> 2;
    return words[address] !== 0 || words[address + 1] !== 0 || words[address + 2] !== V4_MAPPED_WORD;
  }

  copyAddress(slot: number, into: Uint8Array): number {
    const { bytes } = this.#arena;
    const name = this.#names + slot * NAME_BYTES;
    const six = this.isSix(slot);
    const mapped = bytes[name + SOCKADDR.FAMILY] === AF_INET6;
    const from = six ? SOCKADDR.V6 : mapped ? SOCKADDR.V6 + 12 : SOCKADDR.V4;
    const size = six ? 16 : 4;
    for (let i = 0; i < size; i++) into[i] = bytes[name + from + i]!;
    return size;
  }

  savePeer(slot: number, into: Uint8Array, at: number): void {
    const { bytes } = this.#arena;
    const name = this.#names + slot * NAME_BYTES;
    const control = this.#controls + slot * CONTROL_BYTES;
    into.set(bytes.subarray(name, name + NAME_BYTES), at);
    into.set(bytes.subarray(control, control + CONTROL_BYTES), at + NAME_BYTES);
    into[at + NAME_BYTES + CONTROL_BYTES] = this.#nameBytes(slot);
    into[at + NAME_BYTES + CONTROL_BYTES + 4] = this.#controlBytes(slot);
  }

  loadPeer(slot: number, peer: Uint8Array): void {
    const { bytes } = this.#arena;
    bytes.set(peer.subarray(0, NAME_BYTES), this.#names + slot * NAME_BYTES);
    bytes.set(peer.subarray(NAME_BYTES, NAME_BYTES + CONTROL_BYTES), this.#controls + slot * CONTROL_BYTES);
    this.#setSizes(slot, peer[NAME_BYTES + CONTROL_BYTES]!, peer[NAME_BYTES + CONTROL_BYTES + 4]!);
    if (this.#wildcard) this.#anyInterface(slot);
  }

  #lay(slot: number, buffer: number, bufferBytes: number): void {
    const arena = this.#arena;
    const header = this.#at + slot * MMSGHDR.BYTES;
    const iovec = this.#iovecs + slot * IOVEC.BYTES;
    arena.setPointer(header + MSGHDR.NAME, this.#names + slot * NAME_BYTES, NAME_BYTES);
    arena.setPointer(header + MSGHDR.IOV, iovec, IOVEC.BYTES);
    arena.setU64(header + MSGHDR.IOV_COUNT, 1);
    if (this.#wildcard)
      arena.setPointer(header + MSGHDR.CONTROL, this.#controls + slot * CONTROL_BYTES, CONTROL_BYTES);
    arena.setPointer(iovec + IOVEC.BASE, buffer, bufferBytes);
    arena.setU64(iovec + IOVEC.LENGTH, bufferBytes);
  }

  #nameBytes(slot: number): number {
    return this.#arena.words[(this.#at + slot * MMSGHDR.BYTES + MSGHDR.NAME_BYTES) >> 2]!;
  }

  #controlBytes(slot: number): number {
    return this.#arena.words[(this.#at + slot * MMSGHDR.BYTES + MSGHDR.CONTROL_BYTES) >> 2]!;
  }

  #setSizes(slot: number, nameBytes: number, controlBytes: number): void {
    const header = (this.#at + slot * MMSGHDR.BYTES) >> 2;
    this.#arena.words[header + (MSGHDR.NAME_BYTES >> 2)] = nameBytes;
    this.#arena.words[header + (MSGHDR.CONTROL_BYTES >> 2)] = controlBytes;
  }

  #takeWords(slot: number, from: Int32Array, name: number, control: number): void {
    const { words } = this.#arena;
    const toName = (this.#names + slot * NAME_BYTES) >> 2;
    for (let i = 0; i < SOCKADDR.V6_BYTES >> 2; i++) words[toName + i] = from[(name >> 2) + i]!;
    if (!this.#wildcard) return;
    const toControl = (this.#controls + slot * CONTROL_BYTES) >> 2;
    for (let i = 0; i < CONTROL_BYTES >> 2; i++) words[toControl + i] = from[(control >> 2) + i]!;
  }

  /**
   * The address is kept as the source, the interface is left to routing: the way back may be another one. Only
   * link-local addresses mean nothing without theirs.
   */
  #anyInterface(slot: number): void {
    const control = this.#controls + slot * CONTROL_BYTES;
    const { bytes, words } = this.#arena;
    if (words[(control + CMSG.LEVEL) >> 2] === IPPROTO_IP) words[(control + CMSG.DATA) >> 2] = 0;
    else if (bytes[control + CMSG.DATA] !== 0xfe) words[(control + CMSG.DATA + 16) >> 2] = 0;
  }
}
