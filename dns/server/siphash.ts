/** v0 to v3 as pairs of 32-bit halves, low first. */
const v = new Int32Array(8);

/**
 * SipHash-2-4 (Aumasson, Bernstein) of input[0, length) under a 16-byte key: 8 bytes, little endian, into out at
 * outAt. Allocates nothing.
 */
export function sipHash24(
  key: Uint8Array,
  input: Uint8Array,
  length: number,
  out: Uint8Array,
  outAt: number,
): void {
  const k0 = word(key, 0);
  const k1 = word(key, 4);
  const k2 = word(key, 8);
  const k3 = word(key, 12);
  v[0] = k0 ^ 0x70736575;
  v[1] = k1 ^ 0x736f6d65;
  v[2] = k2 ^ 0x6e646f6d;
  v[3] = k3 ^ 0x646f7261;
  v[4] = k0 ^ 0x6e657261;
  v[5] = k1 ^ 0x6c796765;
  v[6] = k2 ^ 0x79746573;
  v[7] = k3 ^ 0x74656462;
  const whole = length & ~7;
  for (let at = 0; at < whole; at += 8) compress(word(input, at), word(input, at + 4));
  compress(tail(input, whole, length), tail(input, whole + 4, length) | ((length & 0xff) << 24));
  v[4] ^= 0xff;
  for (let i = 0; i < 4; i++) round();
  for (let half = 0; half < 2; half++) {
    putWord(out, outAt + 4 * half, v[half]! ^ v[2 + half]! ^ v[4 + half]! ^ v[6 + half]!);
  }
}

function compress(low: number, high: number): void {
  v[6]! ^= low;
  v[7]! ^= high;
  round();
  round();
  v[0]! ^= low;
  v[1]! ^= high;
}

function round(): void {
  add(0, 2);
  rotate(2, 13);
  xor(2, 0);
  swap(0);
  add(4, 6);
  rotate(6, 16);
  xor(6, 4);
  add(0, 6);
  rotate(6, 21);
  xor(6, 0);
  add(4, 2);
  rotate(2, 17);
  xor(2, 4);
  swap(4);
}

/** v[a] += v[b], 64 bits. */
function add(a: number, b: number): void {
  const low = (v[a]! >>> 0) + (v[b]! >>> 0);
  v[a] = low;
  v[a + 1] = v[a + 1]! + v[b + 1]! + (low > 0xffffffff ? 1 : 0);
}

/** To the left by fewer than 32 bits. */
function rotate(a: number, bits: number): void {
  const low = v[a]!;
  const high = v[a + 1]!;
  v[a] = (low << bits) | (high >>> (32 - bits));
  v[a + 1] = (high << bits) | (low >>> (32 - bits));
}

function xor(a: number, b: number): void {
  v[a]! ^= v[b]!;
  v[a + 1]! ^= v[b + 1]!;
}

/** Rotates by 32 bits. */
function swap(a: number): void {
  const low = v[a]!;
  v[a] = v[a + 1]!;
  v[a + 1] = low;
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** Up to four bytes that are left. */
function tail(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let i = 0; i < 4 && at + i < end; i++) value |= bytes[at + i]! << (8 * i);
  return value;
}

function putWord(out: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < 4; i++) out[at + i] = value >>> (8 * i);
}
