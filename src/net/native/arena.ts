import koffi from 'koffi';
import { Fault } from '../../base/fault.ts';
import { binding } from './binding.ts';

const ALIGN_BYTES = 16;

/**
 * Memory that system calls may point into: one ArrayBuffer that never moves, handed out in regions. Addresses leave
 * it only through `address`, which checks bounds. Lives as long as somebody holds it.
 */
export class Arena {
  readonly bytes: Uint8Array;
  /** The same memory in 32-bit words. */
  readonly words: Int32Array;
  readonly #view: DataView;
  readonly #base: number;
  #end = 0;

  constructor(sizeBytes: number) {
    const buffer = new ArrayBuffer(Math.ceil(sizeBytes / ALIGN_BYTES) * ALIGN_BYTES);
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.#view = new DataView(buffer);
    this.#base = addressOf(this.bytes);
  }

  /** Offset of a new region, aligned to 16 bytes. Throws Fault ARENA_FULL. */
  allocate(sizeBytes: number): number {
    const offset = this.#end;
    this.#end += Math.ceil(sizeBytes / ALIGN_BYTES) * ALIGN_BYTES;
    if (this.#end > this.bytes.length)
      throw new Fault('ARENA_FULL', `${sizeBytes} bytes do not fit the arena`);
    return offset;
  }

  /** Where [offset, offset + sizeBytes) lies in the process. Throws Fault ARENA_BOUNDS. */
  address(offset: number, sizeBytes: number): number {
    if (!(offset >= 0 && sizeBytes >= 0 && offset + sizeBytes <= this.bytes.length))
      throw new Fault('ARENA_BOUNDS', `${offset}+${sizeBytes} lies outside ${this.bytes.length} bytes`);
    return this.#base + offset;
  }

  setPointer(at: number, offset: number, sizeBytes: number): void {
    this.#view.setBigUint64(at, BigInt(this.address(offset, sizeBytes)), true);
  }

  setU64(at: number, value: number): void {
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }
}

type Copy = (to: Uint8Array, from: Uint8Array, sizeBytes: number) => unknown;

/** Bound once a thread. */
let copy: Copy | undefined;

/** memcpy of nothing returns where its first argument lies: user space ends at 2^47, so a number holds it. */
function addressOf(bytes: Uint8Array): number {
  copy ??= binding(
    () => koffi.load(null).func('uint64_t memcpy(void *to, const void *from, size_t sizeBytes)') as Copy,
  );
  const address = copy(bytes, bytes, 0);
  if (!Number.isSafeInteger(address))
    throw new Fault('NATIVE_UNSUPPORTED', 'addresses of this host need more than 53 bits');
  return address as number;
}
