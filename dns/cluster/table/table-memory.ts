import { CONTROL, type TableBuffers } from './layout.ts';

const ALIGN_BYTES = 8;
const SMALL_BLOCK_BYTES = 256;
const FIRST_ARENA_BYTES = 64 * 1024;
const FIRST_SLOTS = 1024;
const FIRST_IDS = 256;
/** Growth by a quarter keeps the peak of a growing table near its size. */
const GROWTH = 1.25;
/** Slots in use, graves included, beyond which the index is rebuilt. */
const MAX_LOAD = 0.7;
const GRAVE = -1;

/**
 * The memory of a table: an arena with free lists by size, a hash index of blocks and a list of service ids. One
 * writer. Blocks never move while they live; offset 0 is nothing.
 */
export class TableMemory {
  #buffers: TableBuffers;
  #arenaEnd = ALIGN_BYTES;
  #freeBytes = 0;
  readonly #free = new Map<number, number[]>();
  #used = 0;
  #filled = 0;
  #nextId = 1;
  readonly #freeIds: number[] = [];
  /** Called with the new buffers after any of them was replaced. */
  readonly listeners = new Set<(buffers: TableBuffers) => void>();

  constructor() {
    this.#buffers = {
      control: new Int32Array(new SharedArrayBuffer(CONTROL.WORDS * 4)),
      index: new Int32Array(new SharedArrayBuffer(FIRST_SLOTS * 8)),
      ids: new Int32Array(new SharedArrayBuffer(FIRST_IDS * 4)),
      arena: new Uint8Array(new SharedArrayBuffer(FIRST_ARENA_BYTES)),
    };
  }

  get buffers(): TableBuffers {
    return this.#buffers;
  }

  /** Bytes in use, and bytes held. */
  get sizes(): { readonly usedBytes: number; readonly heldBytes: number } {
    const { index, ids, arena } = this.#buffers;
    const fixed = index.byteLength + this.#nextId * 4;
    return {
      usedBytes: fixed + this.#arenaEnd - this.#freeBytes,
      heldBytes: index.byteLength + ids.byteLength + arena.byteLength,
    };
  }

  get used(): { readonly arenaBytes: number; readonly idCount: number } {
    return { arenaBytes: this.#arenaEnd, idCount: this.#nextId };
  }

  /** Marks the table as being written; nests with nothing. */
  begin(): void {
    Atomics.add(this.#buffers.control, CONTROL.SEQUENCE, 1);
  }

  end(): void {
    Atomics.add(this.#buffers.control, CONTROL.SEQUENCE, 1);
  }

  allocate(sizeBytes: number): number {
    const size = aligned(sizeBytes);
    const reused = this.#free.get(size)?.pop();
    if (reused !== undefined) {
      this.#freeBytes -= size;
      return reused;
    }
    if (this.#arenaEnd + size > this.#buffers.arena.length) this.#growArena(this.#arenaEnd + size);
    const offset = this.#arenaEnd;
    this.#arenaEnd += size;
    return offset;
  }

  release(offset: number, sizeBytes: number): void {
    const size = aligned(sizeBytes);
    const list = this.#free.get(size);
    if (list) list.push(offset);
    else this.#free.set(size, [offset]);
    this.#freeBytes += size;
  }

  /** Adds a block that is not there yet. */
  insert(hash: number, offset: number): void {
    if (this.#filled + 1 > (this.#buffers.index.length / 2) * MAX_LOAD) this.#rebuildIndex();
    const { index } = this.#buffers;
    const mask = index.length / 2 - 1;
    let slot = hash & mask;
    while (index[slot * 2 + 1]! > 0) slot = (slot + 1) & mask;
    if (index[slot * 2 + 1] === 0) this.#filled++;
    index[slot * 2] = hash;
    index[slot * 2 + 1] = offset;
    this.#used++;
  }

  /** The first block with this hash that `matches` accepts; 0 = none. */
  find(hash: number, matches: (offset: number) => boolean): number {
    const slot = this.#slotOf(hash, matches);
    return slot < 0 ? 0 : this.#buffers.index[slot * 2 + 1]!;
  }

  /** Takes the block at offset out of the index. */
  remove(hash: number, offset: number): void {
    const slot = this.#slotOf(hash, (found) => found === offset);
    if (slot < 0) return;
    this.#buffers.index[slot * 2 + 1] = GRAVE;
    this.#used--;
  }

  newId(): number {
    const id = this.#freeIds.pop() ?? this.#nextId++;
    const { ids } = this.#buffers;
    if (id >= ids.length) this.#replace({ ids: grown(ids, Math.ceil(ids.length * GROWTH) + 64) });
    return id;
  }

  freeId(id: number): void {
    this.#buffers.ids[id] = 0;
    this.#freeIds.push(id);
  }

  #slotOf(hash: number, matches: (offset: number) => boolean): number {
    const { index } = this.#buffers;
    const mask = index.length / 2 - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const offset = index[slot * 2 + 1]!;
      if (offset === 0) return -1;
      if (offset > 0 && index[slot * 2] === hash && matches(offset)) return slot;
    }
  }

  #growArena(needed: number): void {
    const { arena } = this.#buffers;
    const larger = new Uint8Array(new SharedArrayBuffer(Math.max(needed, Math.ceil(arena.length * GROWTH))));
    larger.set(arena);
    this.#replace({ arena: larger });
  }

  #rebuildIndex(): void {
    const { index } = this.#buffers;
    let slots = index.length / 2;
    while (this.#used + 1 > slots * MAX_LOAD * 0.75) slots *= 2;
    const rebuilt = new Int32Array(new SharedArrayBuffer(slots * 8));
    const mask = slots - 1;
    for (let i = 0; i < index.length; i += 2) {
      if (index[i + 1]! <= 0) continue;
      let slot = index[i]! & mask;
      while (rebuilt[slot * 2 + 1] !== 0) slot = (slot + 1) & mask;
      rebuilt[slot * 2] = index[i]!;
      rebuilt[slot * 2 + 1] = index[i + 1]!;
    }
    this.#filled = this.#used;
    this.#replace({ index: rebuilt });
  }

  /** Readers of the old buffers see that they are retired and wait for the new ones. */
  #replace(parts: Partial<TableBuffers>): void {
    const control = new Int32Array(new SharedArrayBuffer(CONTROL.WORDS * 4));
    control.set(this.#buffers.control);
    Atomics.store(this.#buffers.control, CONTROL.RETIRED, 1);
    this.#buffers = { ...this.#buffers, ...parts, control };
    for (const listener of this.listeners) listener(this.#buffers);
  }
}

/**
 * Small blocks in steps of 8 bytes, larger ones four steps a doubling: a service that grows endpoint by endpoint
 * leaves few sizes behind, and others can use them.
 */
function aligned(size: number): number {
  const step = size <= SMALL_BLOCK_BYTES ? ALIGN_BYTES : 1 << (29 - Math.clz32(size - 1));
  return Math.ceil(size / step) * step;
}

function grown(from: Int32Array, length: number): Int32Array<SharedArrayBuffer> {
  const larger = new Int32Array(new SharedArrayBuffer(length * 4));
  larger.set(from);
  return larger;
}
