import { randomInt } from 'node:crypto';
import { AF_INET, MSG_DONTWAIT, SOCKADDR } from './abi.ts';
import { Arena } from './arena.ts';
import { datagramCalls } from './datagram-calls.ts';
import { DatagramHeaders } from './datagram-headers.ts';
import { type CallResult, orErrno } from './errno.ts';
import { readSocketAddress, type SocketAddress } from './socket-address.ts';

export interface DatagramPassOptions {
  readonly slots: number;
  readonly slotBytes: number;
  /**
   * Which side has peers. senders: comes from anybody to a bound socket, leaves by connected ones. receivers: comes from
   * connected sockets, leaves by a bound one.
   */
  readonly peers: 'senders' | 'receivers';
}

/** A peer by its struct sockaddr, in words: what a table of peers holds and compares. */
export type PeerName = Int32Array<ArrayBuffer>;

/**
 * Datagrams on their way from one socket to another, a batch at a time: sent from where they were received. Never waits,
 * allocates nothing for a datagram. One user, one thread.
 */
export class DatagramPass {
  readonly slots: number;
  readonly #arena: Arena;
  readonly #in: DatagramHeaders;
  readonly #out: DatagramHeaders;
  readonly #named: DatagramHeaders;
  /** Makes hashes that nobody outside can foresee. */
  readonly #seed = randomInt(0x7fff_ffff);
  #received = 0;

  constructor({ slots, slotBytes, peers }: DatagramPassOptions) {
    const shape = { slots, bufferBytes: slotBytes, wildcard: false };
    this.slots = slots;
    this.#arena = new Arena(DatagramHeaders.bytes(slots, slotBytes) + DatagramHeaders.bytes(slots, 0));
    this.#in = new DatagramHeaders(this.#arena, { ...shape, named: peers === 'senders' });
    this.#out = new DatagramHeaders(this.#arena, { ...shape, named: peers === 'receivers', over: this.#in });
    this.#named = peers === 'senders' ? this.#in : this.#out;
  }

  /** Fills slots from `first` on, as far as datagrams are there. How many, or a Failure: -EAGAIN for none. */
  receive(fd: number, first: number): CallResult {
    if (this.#in === this.#named) this.#in.rearm(this.#received);
    const headers = this.#in.addressAt(first);
    const count = orErrno(datagramCalls().recvmmsg(fd, headers, this.slots - first, MSG_DONTWAIT, null));
    this.#received = first + Math.max(0, count);
    return count;
  }

  lengthOf(slot: number): number {
    return this.#in.movedBytes(slot);
  }

  /** How many left, in order; a Failure when the first of them could not. */
  send(fd: number, first: number, count: number): CallResult {
    for (let slot = first; slot < first + count; slot++) this.#out.setSize(slot, this.#in.movedBytes(slot));
    return orErrno(datagramCalls().sendmmsg(fd, this.#out.addressAt(first), count, MSG_DONTWAIT));
  }

  /** The peer of a slot, as people write it. */
  peerAddress(slot: number): SocketAddress {
    return readSocketAddress(this.#arena.bytes, this.#named.nameWord(slot) << 2);
  }

  peerName(slot: number): PeerName {
    const at = this.#named.nameWord(slot);
    return this.#arena.words.slice(at, at + this.#nameWords(at));
  }

  isPeer(slot: number, name: PeerName): boolean {
    const { words } = this.#arena;
    const at = this.#named.nameWord(slot);
    for (let i = 0; i < name.length; i++) if (words[at + i] !== name[i]) return false;
    return true;
  }

  setPeer(slot: number, name: PeerName): void {
    this.#named.setName(slot, name);
  }

  /** A number of 30 bits for the peer of a slot; another one in every process. */
  peerHash(slot: number): number {
    const { words } = this.#arena;
    const at = this.#named.nameWord(slot);
    const end = at + this.#nameWords(at);
    let hash = this.#seed;
    for (let i = at; i < end; i++) {
      hash = Math.imul(hash ^ words[i]!, 0x85eb_ca6b);
      hash ^= hash >>> 15;
    }
    return hash & 0x3fff_ffff;
  }

  #nameWords(at: number): number {
    const family = this.#arena.words[at]! & 0xffff;
    return (family === AF_INET ? SOCKADDR.V4_BYTES : SOCKADDR.V6_BYTES) >> 2;
  }
}
