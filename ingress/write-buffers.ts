/** Sizes of the buffers kept: a TLS record, and a read of a socket. */
const SIZES = [16 * 1024, 64 * 1024] as const;
/** Shorter pieces are cheaper to copy into memory of their own. */
const KEPT_BYTES_MIN = 2 * 1024;
/** Free buffers kept of each size. */
const FREE_MAX = 32;

const free: readonly Buffer[][] = SIZES.map(() => []);

/** Holds bytes that a socket has not yet sent, in memory that is used again: long bodies leave no garbage. */
export function holdForWriting(bytes: Uint8Array): Buffer {
  const size = SIZES.findIndex((most) => bytes.length <= most);
  if (bytes.length < KEPT_BYTES_MIN || size < 0) return Buffer.from(bytes);
  const buffer = free[size]!.pop() ?? Buffer.allocUnsafeSlow(SIZES[size]!);
  buffer.set(bytes);
  return buffer.subarray(0, bytes.length);
}

/** Takes back what holdForWriting gave, once nobody reads it any more. */
export function releaseWritten(held: Buffer): void {
  const size = SIZES.findIndex((bytes) => bytes === held.buffer.byteLength);
  if (held.byteOffset !== 0 || size < 0 || free[size]!.length >= FREE_MAX) return;
  free[size]!.push(Buffer.from(held.buffer));
}
