import { foldName, nameToWire, splitLabels } from './name.ts';

const MAX_POINTER = 0x3fff;
const FIRST_SIZE_BYTES = 512;

/** An append-only buffer with a table of name suffixes for compression. */
export class WireWriter {
  #bytes = new Uint8Array(FIRST_SIZE_BYTES);
  #length = 0;
  readonly #compress: boolean;
  readonly #suffixes = new Map<string, number>();
  /** Whole names as spelled: most records have an owner that was written before. */
  readonly #names = new Map<string, number>();

  constructor(options: { readonly compress: boolean }) {
    this.#compress = options.compress;
  }

  get length(): number {
    return this.#length;
  }

  /** The bytes written so far; valid until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#bytes[this.#length++] = value >>> 8;
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    this.u16(Math.floor(value / 0x10000) & 0xffff);
    this.u16(value & 0xffff);
  }

  put(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  patchU16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** Forgets everything from length on, names included. */
  truncate(length: number): void {
    this.#length = length;
    for (const [suffix, at] of this.#suffixes) if (at >= length) this.#suffixes.delete(suffix);
    for (const [name, at] of this.#names) if (at >= length) this.#names.delete(name);
  }

  /** Names that must stand whole are remembered too: later names may point at them. */
  name(name: string, compressible: boolean): void {
    if (!this.#compress) return this.put(wireOf(name));
    const written = this.#names.get(name);
    if (written !== undefined && compressible) return this.u16(0xc000 | written);
    const start = this.#length;
    const labels = splitLabels(name);
    for (let i = 0; i < labels.length; i++) {
      const suffix = foldName(labels.slice(i).join('.'));
      const known = this.#suffixes.get(suffix);
      if (known !== undefined && compressible) {
        if (i === 0) this.#names.set(name, known);
        return this.u16(0xc000 | known);
      }
      if (known === undefined && this.#length <= MAX_POINTER) this.#suffixes.set(suffix, this.#length);
      const label = wireOf(labels[i]! + '.');
      this.put(label.subarray(0, label.length - 1));
    }
    this.u8(0);
    const first = written === undefined && labels.length > 0 && start <= MAX_POINTER;
    if (first) this.#names.set(name, start);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

function wireOf(name: string): Uint8Array {
  const wire = nameToWire(name);
  if (!wire) throw new RangeError(`not a domain name: ${name}`);
  return wire;
}
