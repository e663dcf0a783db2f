/** Stretches of bytes that are kept of a head; what lies side by side is one stretch. Nothing is allocated. */
export class Runs {
  /** [from, to) pairs. */
  readonly offsets: Int32Array;
  count = 0;

  constructor(max: number) {
    this.offsets = new Int32Array(max * 2);
  }

  clear(): void {
    this.count = 0;
  }

  add(from: number, to: number): void {
    const last = this.count * 2 - 1;
    if (last > 0 && this.offsets[last] === from) {
      this.offsets[last] = to;
      return;
    }
    this.offsets[last + 1] = from;
    this.offsets[last + 2] = to;
    this.count++;
  }

  /** Copies all of them within `bytes`; returns where the copy ends. */
  copy(bytes: Uint8Array, to: number): number {
    let at = to;
    for (let i = 0; i < this.count * 2; i += 2) {
      const from = this.offsets[i]!;
      const end = this.offsets[i + 1]!;
      bytes.copyWithin(at, from, end);
      at += end - from;
    }
    return at;
  }
}
