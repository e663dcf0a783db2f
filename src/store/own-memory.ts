/** A copy in memory of its own: a part of a pool or of a larger buffer would keep all of that alive. */
export function ownMemory(bytes: Uint8Array): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.byteLength);
  own.set(bytes);
  return own;
}
