import { crc32 } from 'node:zlib';
import { ownMemory } from '../own-memory.ts';
import type { StoreWrite } from '../versions.ts';

/**
 * Writes packed into one buffer, to cross threads without a copy per object:
 * revision, createRevision, leaseId (float64 each), key bytes (u32), value bytes + 1 (u32, 0 = deleted), key, value.
 * Both ends are this process, so the decoder trusts its input.
 */
const HEAD_BYTES = 32;

export function encodeWrites(writes: readonly StoreWrite[]): ArrayBuffer {
  const keySizes = writes.map((write) => Buffer.byteLength(write.key));
  let sizeBytes = 0;
  writes.forEach((write, i) => (sizeBytes += HEAD_BYTES + keySizes[i]! + (write.value?.byteLength ?? 0)));
  const out = Buffer.from(new ArrayBuffer(sizeBytes));
  let at = 0;
  writes.forEach((write, i) => {
    at = writeHead(out, at, write, keySizes[i]!, write.value?.byteLength);
    at += out.write(write.key, at, 'utf8');
    if (write.value) {
      out.set(write.value, at);
      at += write.value.byteLength;
    }
  });
  return out.buffer;
}

/** A write as the file keeps it: the key as bytes. Buffers may be parts of a larger one. */
export interface RawWrite {
  readonly revision: number;
  readonly createRevision: number;
  readonly leaseId: number;
  readonly key: Buffer;
  readonly value: Buffer | null;
}

export function encodeRawWrites(writes: readonly RawWrite[]): ArrayBuffer {
  let sizeBytes = 0;
  for (const write of writes) sizeBytes += HEAD_BYTES + write.key.byteLength + (write.value?.byteLength ?? 0);
  const out = Buffer.from(new ArrayBuffer(sizeBytes));
  let at = 0;
  for (const write of writes) {
    at = writeHead(out, at, write, write.key.byteLength, write.value?.byteLength);
    at += write.key.copy(out, at);
    if (write.value) at += write.value.copy(out, at);
  }
  return out.buffer;
}

export function* decodeRawWrites(buffer: ArrayBuffer): Generator<RawWrite> {
  const bytes = Buffer.from(buffer);
  for (let at = 0; at < bytes.length;) {
    const keyEnd = at + HEAD_BYTES + bytes.readUInt32LE(at + 24);
    const valueSize = bytes.readUInt32LE(at + 28);
    const end = keyEnd + Math.max(0, valueSize - 1);
    yield {
      revision: bytes.readDoubleLE(at),
      createRevision: bytes.readDoubleLE(at + 8),
      leaseId: bytes.readDoubleLE(at + 16),
      key: bytes.subarray(at + HEAD_BYTES, keyEnd),
      value: valueSize === 0 ? null : bytes.subarray(keyEnd, end),
    };
    at = end;
  }
}

export function* decodeWrites(buffer: ArrayBuffer): Generator<StoreWrite> {
  for (const write of decodeRawWrites(buffer)) yield rawToWrite(write);
}

/** The value gets memory of its own, so that it does not keep the whole buffer. */
export function rawToWrite({ revision, createRevision, leaseId, key, value }: RawWrite): StoreWrite {
  return {
    revision,
    createRevision,
    leaseId,
    key: key.toString('utf8'),
    value: value ? ownMemory(value) : undefined,
  };
}

/** Detects what SQLite does not: bytes of a row that changed on disk. */
export function checksumOf(write: RawWrite): number {
  const head = `${write.revision} ${write.createRevision} ${write.leaseId} ${write.value === null ? 'd' : 'p'}`;
  const sum = crc32(write.key, crc32(head));
  return write.value === null ? sum : crc32(write.value, sum);
}

interface Numbers {
  readonly revision: number;
  readonly createRevision: number;
  readonly leaseId: number;
}

function writeHead(out: Buffer, at: number, write: Numbers, keySize: number, valueSize?: number): number {
  out.writeDoubleLE(write.revision, at);
  out.writeDoubleLE(write.createRevision, at + 8);
  out.writeDoubleLE(write.leaseId, at + 16);
  out.writeUInt32LE(keySize, at + 24);
  out.writeUInt32LE(valueSize === undefined ? 0 : valueSize + 1, at + 28);
  return at + HEAD_BYTES;
}
