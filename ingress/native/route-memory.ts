import { ROUTE_MEMORY_BYTES, ROUTE_MEMORY_ENTRIES } from './limits.ts';

/**
 * What a host and path as they were sent lead to, found by their bytes: a request for a place that was asked for before
 * makes no string. Of two pairs with the same hash the later one is remembered. Emptied with every change of the table.
 */
export class RouteMemory<T> {
  readonly #keys = new Uint8Array(ROUTE_MEMORY_ENTRIES * ROUTE_MEMORY_BYTES);
  /** Length of host, then of path, by entry. */
  readonly #lengths = new Int32Array(ROUTE_MEMORY_ENTRIES * 2);
  readonly #values: (T | undefined)[] = Array.from({ length: ROUTE_MEMORY_ENTRIES }, () => undefined);
  #used = false;

  clear(): void {
    if (!this.#used) return;
    this.#lengths.fill(0);
    this.#values.fill(undefined);
    this.#used = false;
  }

  /** `look` is asked for what is not remembered. */
  find(
    bytes: Uint8Array,
    host: number,
    hostEnd: number,
    path: number,
    pathEnd: number,
    look: () => T | undefined,
  ): T | undefined {
    const hostBytes = hostEnd - host;
    const pathBytes = pathEnd - path;
    if (hostBytes + pathBytes > ROUTE_MEMORY_BYTES) return look();
    const entry = hash(bytes, path, pathEnd, hash(bytes, host, hostEnd, SEED)) & (ROUTE_MEMORY_ENTRIES - 1);
    const key = entry * ROUTE_MEMORY_BYTES;
    const same =
      this.#lengths[entry * 2] === hostBytes &&
      this.#lengths[entry * 2 + 1] === pathBytes &&
      isEqual(this.#keys, key, bytes, host, hostBytes) &&
      isEqual(this.#keys, key + hostBytes, bytes, path, pathBytes);
    if (same) return this.#values[entry];
    const found = look();
    this.#used = true;
    this.#lengths[entry * 2] = hostBytes;
    this.#lengths[entry * 2 + 1] = pathBytes;
    this.#keys.set(bytes.subarray(host, hostEnd), key);
    this.#keys.set(bytes.subarray(path, pathEnd), key + hostBytes);
    this.#values[entry] = found;
    return found;
  }
}

/** FNV-1a. */
const SEED = 0x811c9dc5 | 0;

function hash(bytes: Uint8Array, from: number, end: number, seed: number): number {
  let value = seed;
  for (let at = from; at < end; at++) value = Math.imul(value ^ bytes[at]!, 0x01000193);
  return value ^ (value >>> 15);
}

function isEqual(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, sizeBytes: number): boolean {
  for (let i = 0; i < sizeBytes; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}
