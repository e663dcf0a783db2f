import type { Endpoint } from '../../../endpoints/endpoint.ts';
import { writeAddress } from './address-bytes.ts';
import type { EndpointChanges } from './endpoint-diff.ts';
import {
  ENDPOINT_COUNT_SLOW,
  ENDPOINT_HEAD_BYTES,
  equalFolded,
  hashBytes,
  KIND,
  readU32,
  SERVICE_HEAD_BYTES,
  writeU32,
} from './layout.ts';
import type { TableMemory } from './table-memory.ts';

const LABEL = /^[a-z0-9_-]{1,63}$/;

/** The blocks of endpoint names: one for each name below a service. */
export class EndpointBlocks {
  readonly #memory: TableMemory;
  readonly #key = new Uint8Array(64 + 128);

  constructor(memory: TableMemory) {
    this.#memory = memory;
  }

  /**
   * Rewrites the names that the changed endpoints have or had. Returns the addresses under those names: their blocks
   * may have moved.
   */
  replace(
    id: number,
    { gone, fresh }: EndpointChanges,
    all: readonly Endpoint[],
    nameOf: (endpoint: Endpoint) => string,
  ): ReadonlySet<string> {
    const moved = new Set<string>();
    if (gone.length === 0 && fresh.length === 0) return moved;
    const names = new Map<string, Set<string>>();
    for (const endpoint of [...gone, ...fresh]) names.set(nameOf(endpoint).toLowerCase(), new Set());
    for (const endpoint of fresh) names.get(nameOf(endpoint).toLowerCase())!.add(endpoint.address);
    // Names given by hand may be shared with endpoints that did not change.
    const given = [...gone, ...fresh].some((one) => one.hostname !== undefined || one.podName !== undefined);
    if (given) {
      for (const endpoint of all) {
        if (endpoint.ready) names.get(nameOf(endpoint).toLowerCase())?.add(endpoint.address);
      }
    }
    for (const [name, addresses] of names) {
      if (LABEL.test(name)) this.#write(id, name, [...addresses]);
      for (const address of addresses) moved.add(address);
    }
    return moved;
  }

  /** Where the block of a name below a service stands; 0 = there is none. */
  find(id: number, label: string): number {
    if (!LABEL.test(label)) return 0;
    const length = this.#writeKey(id, label);
    return this.#find(hashBytes(KIND.ENDPOINT, this.#key, 0, length), id, label.length);
  }

  #write(id: number, label: string, addresses: readonly string[]): void {
    const length = this.#writeKey(id, label);
    const hash = hashBytes(KIND.ENDPOINT, this.#key, 0, length);
    this.#drop(hash, id, label.length);
    if (addresses.length === 0) return;
    const v6 = addresses.filter((address) => address.includes(':')).length;
    const v4 = addresses.length - v6;
    const slow = addresses.length >= ENDPOINT_COUNT_SLOW;
    const size = ENDPOINT_HEAD_BYTES + label.length + (slow ? 0 : v4 * 4 + v6 * 16);
    const offset = this.#memory.allocate(size);
    const { arena } = this.#memory.buffers;
    arena[offset] = KIND.ENDPOINT;
    arena[offset + 1] = label.length;
    arena[offset + 2] = slow ? ENDPOINT_COUNT_SLOW : v4;
    arena[offset + 3] = slow ? ENDPOINT_COUNT_SLOW : v6;
    writeU32(arena, offset + 4, id);
    let at = offset + ENDPOINT_HEAD_BYTES;
    const inOrder = slow
      ? []
      : [...addresses].sort((a, b) => Number(a.includes(':')) - Number(b.includes(':')));
    for (const address of inOrder) at += writeAddress(address, arena, at);
    arena.set(this.#key.subarray(1, 1 + label.length), at);
    this.#memory.insert(hash, offset);
  }

  /** The block whose key was written last. */
  #find(hash: number, id: number, labelLength: number): number {
    const { arena } = this.#memory.buffers;
    return this.#memory.find(
      hash,
      (found) =>
        arena[found] === KIND.ENDPOINT &&
        arena[found + 1] === labelLength &&
        readU32(arena, found + 4) === id &&
        equalFolded(this.#key, 1, arena, labelAt(arena, found), labelLength),
    );
  }

  #drop(hash: number, id: number, labelLength: number): void {
    const { arena } = this.#memory.buffers;
    const offset = this.#find(hash, id, labelLength);
    if (offset === 0) return;
    this.#memory.remove(hash, offset);
    this.#memory.release(offset, labelAt(arena, offset) - offset + labelLength);
  }

  /** The label and the service's key in wire form. */
  #writeKey(id: number, label: string): number {
    const { arena, ids } = this.#memory.buffers;
    this.#key[0] = label.length;
    for (let i = 0; i < label.length; i++) this.#key[i + 1] = label.charCodeAt(i);
    const service = ids[id]!;
    const length = arena[service + 1]!;
    const key = service + SERVICE_HEAD_BYTES;
    this.#key.set(arena.subarray(key, key + length), 1 + label.length);
    return 1 + label.length + length;
  }
}

/** Where the label of an endpoint block stands. */
export function labelAt(arena: Uint8Array, offset: number): number {
  const v4 = arena[offset + 2]!;
  if (v4 === ENDPOINT_COUNT_SLOW) return offset + ENDPOINT_HEAD_BYTES;
  return offset + ENDPOINT_HEAD_BYTES + v4 * 4 + arena[offset + 3]! * 16;
}
