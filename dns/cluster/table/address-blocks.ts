import { formatAddress } from '../../../src/net/ip.ts';
import { writeAddress } from './address-bytes.ts';
import {
  ADDRESS_ENTRY_BYTES,
  ADDRESS_HEAD_BYTES,
  hashBytes,
  KIND,
  readU16,
  readU32,
  writeU32,
} from './layout.ts';
import type { TableMemory } from './table-memory.ts';

interface Entry {
  readonly id: number;
  /** Offset of the endpoint's block, or one of REF_*. */
  readonly ref: number;
}

/** Which services have an address, in the order of their keys, and under which name. */
export class AddressBlocks {
  readonly #memory: TableMemory;
  readonly #keyOf: (id: number) => string;
  readonly #bytes = new Uint8Array(16);

  constructor(memory: TableMemory, keyOf: (id: number) => string) {
    this.#memory = memory;
    this.#keyOf = keyOf;
  }

  set(address: string, id: number, ref: number): void {
    const found = this.#find(address);
    const entries = this.#entries(found);
    const at = entries.findIndex((entry) => entry.id === id);
    if (at >= 0) {
      writeU32(this.#memory.buffers.arena, entryAt(found, at) + 4, ref);
      return;
    }
    const key = entries.length > 0 ? this.#keyOf(id) : '';
    const before = entries.findIndex((entry) => this.#keyOf(entry.id) > key);
    const place = before < 0 ? entries.length : before;
    this.#rewrite(address, found, entries.toSpliced(place, 0, { id, ref }));
  }

  delete(address: string, id: number): void {
    const found = this.#find(address);
    const entries = this.#entries(found);
    const left = entries.filter((entry) => entry.id !== id);
    if (left.length < entries.length) this.#rewrite(address, found, left);
  }

  /** In the order of the services' keys. */
  idsAt(address: string): number[] {
    return this.#entries(this.#find(address)).map(({ id }) => id);
  }

  *all(): Iterable<string> {
    const { index, arena } = this.#memory.buffers;
    for (let i = 1; i < index.length; i += 2) {
      const offset = index[i]!;
      if (offset <= 0 || arena[offset] !== KIND.ADDRESS) continue;
      const at = addressAt(arena, offset);
      yield formatAddress(arena.slice(at, at + arena[offset + 1]!));
    }
  }

  #entries(offset: number): Entry[] {
    if (offset === 0) return [];
    const { arena } = this.#memory.buffers;
    return Array.from({ length: readU16(arena, offset + 2) }, (_, i) => {
      const at = entryAt(offset, i);
      return { id: readU32(arena, at), ref: readU32(arena, at + 4) };
    });
  }

  #find(address: string): number {
    const length = writeAddress(address, this.#bytes, 0);
    if (length === 0) return 0;
    const { arena } = this.#memory.buffers;
    return this.#memory.find(hashBytes(KIND.ADDRESS, this.#bytes, 0, length), (offset) =>
      isAddressBlock(arena, offset, this.#bytes, length),
    );
  }

  #rewrite(address: string, found: number, entries: readonly Entry[]): void {
    const length = writeAddress(address, this.#bytes, 0);
    if (length === 0 || entries.length > 0xffff) return;
    const hash = hashBytes(KIND.ADDRESS, this.#bytes, 0, length);
    if (found > 0) {
      const size = addressAt(this.#memory.buffers.arena, found) - found + length;
      this.#memory.remove(hash, found);
      this.#memory.release(found, size);
    }
    if (entries.length === 0) return;
    const offset = this.#memory.allocate(entryAt(0, entries.length) + length);
    const { arena } = this.#memory.buffers;
    arena[offset] = KIND.ADDRESS;
    arena[offset + 1] = length;
    arena[offset + 2] = entries.length & 0xff;
    arena[offset + 3] = entries.length >> 8;
    entries.forEach(({ id, ref }, i) => {
      writeU32(arena, entryAt(offset, i), id);
      writeU32(arena, entryAt(offset, i) + 4, ref);
    });
    arena.set(this.#bytes.subarray(0, length), addressAt(arena, offset));
    this.#memory.insert(hash, offset);
  }
}

export function entryAt(offset: number, i: number): number {
  return offset + ADDRESS_HEAD_BYTES + i * ADDRESS_ENTRY_BYTES;
}

/** True when the block at offset is that of the address in bytes[0, length). */
export function isAddressBlock(
  arena: Uint8Array,
  offset: number,
  bytes: Uint8Array,
  length: number,
): boolean {
  if (arena[offset] !== KIND.ADDRESS || arena[offset + 1] !== length) return false;
  const at = addressAt(arena, offset);
  for (let i = 0; i < length; i++) if (arena[at + i] !== bytes[i]) return false;
  return true;
}

function addressAt(arena: Uint8Array, offset: number): number {
  return entryAt(offset, readU16(arena, offset + 2));
}
