import { AF_INET6, CMSG, IOVEC, IPPROTO_IP, MMSGHDR, MSGHDR, SOCKADDR } from './abi.ts';
import type { Arena } from './arena.ts';

/** Room for a sockaddr of either family. */
export const NAME_BYTES = 32;
/** Room for one packet information message of either family (IPv6: 40 bytes). */
export const CONTROL_BYTES = 48;
/** The third word of an IPv4-mapped IPv6 address as it lies in memory: 00 00 ff ff. */
const V4_MAPPED_WORD = 0xffff0000 | 0;

export interface DatagramHeadersOptions {
  readonly slots: number;
  readonly bufferBytes: number;
  /** Packet information comes and goes with each datagram (wildcard sockets). */
  readonly wildcard: boolean;
  /** False: datagrams of connected sockets, whose peer is known. */
  readonly named: boolean;
  /** Lies over the buffers of another array of the same arena and shape. */
  readonly over?: DatagramHeaders;
}

/** An array of struct mmsghdr with a name, a control message and one buffer each. */
export class DatagramHeaders {
  readonly address: number;
  readonly buffers: readonly Uint8Array[];
  readonly #arena: Arena;
  readonly #at: number;
  readonly #slots: number;
  readonly #iovecs: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #buffersAt: number;
  readonly #wildcard: boolean;
  readonly #named: boolean;

  constructor(arena: Arena, { slots, bufferBytes, wildcard, named, over }: DatagramHeadersOptions) {
    this.#arena = arena;
    this.#slots = slots;
    this.#wildcard = wildcard;
    this.#named = named;
    this.#at = arena.allocate(slots * MMSGHDR.BYTES);
    this.#iovecs = arena.allocate(slots * IOVEC.BYTES);
    this.#names = arena.allocate(slots * NAME_BYTES);
    this.#controls = arena.allocate(slots * CONTROL_BYTES);
    this.#buffersAt = over ? over.#buffersAt : arena.allocate(slots * bufferBytes);
    this.address = arena.address(this.#at, slots * MMSGHDR.BYTES);
    this.buffers = Array.from({ length: slots }, (_slot, i) => {
      const buffer = this.#buffersAt + i * bufferBytes;
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
      words[header + (MSGHDR.NAME_BYTES >> 2)] = this.#named ? NAME_BYTES : 0;
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
  copyPeer(slot: number, from: DatagramHeaders, fromSlot: number): void {
    this.#takeWords(
      slot,
      from.#arena.words,
      from.#names + fromSlot * NAME_BYTES,
      from.#controls + fromSlot * CONTROL_BYTES,
    );
    this.#setSizes(slot, from.#nameBytes(fromSlot), from.#controlBytes(fromSlot));
    if (this.#wildcard) this.#anyInterface(slot);
  }

  /** Where the name of a slot lies in the arena's words. */
  nameWord(slot: number): number {
    return (this.#names + slot * NAME_BYTES) >> 2;
  }

  /** Addresses a slot to a peer that is known by its sockaddr. */
  setName(slot: number, name: Int32Array): void {
    const { words } = this.#arena;
    const at = this.nameWord(slot);
    for (let i = 0; i < name.length; i++) words[at + i] = name[i]!;
    this.#setSizes(slot, name.length << 2, 0);
  }

  isSix(slot: number): boolean {
    const { bytes, words } = this.#arena;
    const name = this.#names + slot * NAME_BYTES;
    if (bytes[name + SOCKADDR.FAMILY] !== AF_INET6) return false;
    const address = (name + SOCKADDR.V6) >> 2;
    return words[address] !== 0 || words[address + 1] !== 0 || words[address + 2] !== V4_MAPPED_WORD;
  }

  portOf(slot: number): number {
    const { bytes } = this.#arena;
    const at = this.#names + slot * NAME_BYTES + SOCKADDR.PORT;
    return (bytes[at]! << 8) | bytes[at + 1]!;
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
    if (this.#named) arena.setPointer(header + MSGHDR.NAME, this.#names + slot * NAME_BYTES, NAME_BYTES);
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
