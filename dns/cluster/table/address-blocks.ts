import { formatAddress } from '../../../src/net/ip.ts';
import { writeAddress } from './address-bytes.ts';
import { ADDRESS_HEAD_BYTES, hashBytes, KIND, readU32, writeU32 } from './layout.ts';
import type { TableMemory } from './table-memory.ts';

/** Which services have an address: their ids by address. */
export class AddressBlocks {
  readonly #memory: TableMemory;
  readonly #bytes = new Uint8Array(16);

  constructor(memory: TableMemory) {
    this.#memory = memory;
  }

  add(address: string, id: number): void {
    const ids = this.idsAt(address);
    if (!ids.includes(id)) this.#write(address, ids.length, [...ids, id]);
  }

  delete(address: string, id: number): void {
    const ids = this.idsAt(address);
    if (ids.includes(id)) {
      const left = ids.filter((other) => other !== id);
      this.#write(address, ids.length, left);
    }
  }

  idsAt(address: string): number[] {
    const offset = this.#find(address);
    if (offset === 0) return [];
    const { arena } = this.#memory.buffers;
    const count = arena[offset + 2]! | (arena[offset + 3]! << 8);
    return Array.from({ length: count }, (_, i) => readU32(arena, offset + ADDRESS_HEAD_BYTES + i * 4));
  }

  *all(): Iterable<string> {
    const { index, arena } = this.#memory.buffers;
    for (let i = 1; i < index.length; i += 2) {
      const offset = index[i]!;
      if (offset <= 0 || arena[offset] !== KIND.ADDRESS) continue;
      const count = arena[offset + 2]! | (arena[offset + 3]! << 8);
      const at = offset + ADDRESS_HEAD_BYTES + count * 4;
      yield formatAddress(arena.slice(at, at + arena[offset + 1]!));
    }
  }

  #find(address: string): number {
    const length = writeAddress(address, this.#bytes, 0);
    if (length === 0) return 0;
    const { arena } = this.#memory.buffers;
    return this.#memory.find(hashBytes(KIND.ADDRESS, this.#bytes, 0, length), (offset) => {
      if (arena[offset] !== KIND.ADDRESS || arena[offset + 1] !== length) return false;
      const count = arena[offset + 2]! | (arena[offset + 3]! << 8);
      const at = offset + ADDRESS_HEAD_BYTES + count * 4;
      for (let i = 0; i < length; i++) if (arena[at + i] !== this.#bytes[i]) return false;
      return true;
    });
  }

  #write(address: string, countBefore: number, ids: readonly number[]): void {
    const found = this.#find(address);
    const length = writeAddress(address, this.#bytes, 0);
    if (length === 0 || ids.length > 0xffff) return;
    const hash = hashBytes(KIND.ADDRESS, this.#bytes, 0, length);
    if (found > 0) {
      this.#memory.remove(hash, found);
      this.#memory.release(found, ADDRESS_HEAD_BYTES + countBefore * 4 + length);
    }
    if (ids.length === 0) return;
    const offset = this.#memory.allocate(ADDRESS_HEAD_BYTES + ids.length * 4 + length);
    const { arena } = this.#memory.buffers;
    arena[offset] = KIND.ADDRESS;
    arena[offset + 1] = length;
    arena[offset + 2] = ids.length & 0xff;
    arena[offset + 3] = ids.length >> 8;
    ids.forEach((id, i) => writeU32(arena, offset + ADDRESS_HEAD_BYTES + i * 4, id));
    arena.set(this.#bytes.subarray(0, length), offset + ADDRESS_HEAD_BYTES + ids.length * 4);
    this.#memory.insert(hash, offset);
  }
}
