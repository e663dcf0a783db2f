import { PEER_BYTES } from '../../../src/net/native/datagram-batch.ts';

const WORD = { HEAD: 0, TAIL: 1, AWAKE: 2, SHED: 3, WORDS: 4 } as const;
const LENGTH_BYTES = 8;

export interface SlowRingMemory {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly slots: Uint8Array<SharedArrayBuffer>;
  readonly slotBytes: number;
}

/** Memory for a ring of `slots` (a power of two) datagrams of up to `datagramBytes`. */
export function slowRingMemory(slots: number, datagramBytes: number): SlowRingMemory {
  const slotBytes = Math.ceil((LENGTH_BYTES + PEER_BYTES + datagramBytes) / 8) * 8;
  return {
    words: new Int32Array(new SharedArrayBuffer(WORD.WORDS * 4)),
    slots: new Uint8Array(new SharedArrayBuffer(slots * slotBytes)),
    slotBytes,
  };
}

/**
 * Datagrams on their way from one receiving thread to the one that asks plugins: bounded, one writer, one reader. When
 * it is full the oldest is shed: its client has waited longest and will ask again first.
 */
export class SlowRing {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #slots: readonly Uint8Array[];
  readonly #mask: number;
  readonly #lengths: Int32Array;
  readonly #lengthStep: number;

  constructor({ words, slots, slotBytes }: SlowRingMemory) {
    this.#words = words;
    const count = slots.length / slotBytes;
    this.#slots = Array.from({ length: count }, (_slot, i) =>
      slots.subarray(i * slotBytes + LENGTH_BYTES, (i + 1) * slotBytes),
    );
    this.#mask = count - 1;
    this.#lengths = new Int32Array(slots.buffer);
    this.#lengthStep = slotBytes / 4;
  }

  get shed(): number {
    return Atomics.load(this.#words, WORD.SHED);
  }

  /**
   * The writer's side: `fill` gets the slot, writes the peer and then the datagram. Returns true when the reader
   * sleeps and must be woken.
   */
  push(datagram: Uint8Array, sizeBytes: number, savePeer: (into: Uint8Array) => void): boolean {
    const words = this.#words;
    const tail = Atomics.load(words, WORD.TAIL);
    const head = Atomics.load(words, WORD.HEAD);
    const full = ((tail - head) | 0) === this.#slots.length;
    if (full && Atomics.compareExchange(words, WORD.HEAD, head, head + 1) === head)
      Atomics.add(words, WORD.SHED, 1);
    const index = tail & this.#mask;
    const slot = this.#slots[index]!;
    savePeer(slot);
    slot.set(datagram.subarray(0, sizeBytes), PEER_BYTES);
    this.#lengths[index * this.#lengthStep] = sizeBytes;
    Atomics.store(words, WORD.TAIL, tail + 1);
    return Atomics.exchange(words, WORD.AWAKE, 1) === 0;
  }

  /** The reader's side, once awake: takes up to `most`. True when something is left. */
  drain(most: number, take: (datagram: Uint8Array, peer: Uint8Array) => void): boolean {
    const words = this.#words;
    Atomics.store(words, WORD.AWAKE, 0);
    for (let taken = 0; taken < most; taken++) {
      const head = Atomics.load(words, WORD.HEAD);
      if (head === Atomics.load(words, WORD.TAIL)) return false;
      const index = head & this.#mask;
      const sizeBytes = this.#lengths[index * this.#lengthStep]!;
      const bytes = this.#slots[index]!.slice(0, PEER_BYTES + sizeBytes);
      // Shed while it was being copied: what was copied may be half of another.
      if (Atomics.compareExchange(words, WORD.HEAD, head, head + 1) !== head) continue;
      take(bytes.subarray(PEER_BYTES), bytes.subarray(0, PEER_BYTES));
    }
    return Atomics.load(words, WORD.HEAD) !== Atomics.load(words, WORD.TAIL);
  }
}
