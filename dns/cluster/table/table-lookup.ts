import { isAddressBlock } from './address-blocks.ts';
import { labelAt } from './endpoint-blocks.ts';
import {
  equalFolded,
  hashBytes,
  KIND,
  NAMESPACE_HEAD_BYTES,
  readU32,
  SERVICE_HEAD_BYTES,
  type TableBuffers,
} from './layout.ts';

/** Offset of the service whose key, two labels in wire form, stands in bytes[start, end); 0 = none. */
export function findService(
  { index, arena }: TableBuffers,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  const length = end - start;
  const hash = hashBytes(KIND.SERVICE, bytes, start, end);
  const mask = index.length / 2 - 1;
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const offset = index[slot * 2 + 1]!;
    if (offset === 0) return 0;
    if (offset < 0 || index[slot * 2] !== hash || arena[offset] !== KIND.SERVICE) continue;
    if (arena[offset + 1] !== length) continue;
    if (equalFolded(bytes, start, arena, offset + SERVICE_HEAD_BYTES, length)) return offset;
  }
}

/** Offset of the endpoint whose label stands at start, its service's key behind it up to end; 0 = none. */
export function findEndpoint(
  { index, arena }: TableBuffers,
  bytes: Uint8Array,
  start: number,
  end: number,
  service: number,
): number {
  const length = bytes[start]!;
  const hash = hashBytes(KIND.ENDPOINT, bytes, start, end);
  const id = readU32(arena, service + 4);
  const mask = index.length / 2 - 1;
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const offset = index[slot * 2 + 1]!;
    if (offset === 0) return 0;
    if (offset < 0 || index[slot * 2] !== hash || arena[offset] !== KIND.ENDPOINT) continue;
    if (arena[offset + 1] !== length || readU32(arena, offset + 4) !== id) continue;
    if (equalFolded(bytes, start + 1, arena, labelAt(arena, offset), length)) return offset;
  }
}

/** Offset of the namespace whose label stands at start; 0 = none. */
export function findNamespace({ index, arena }: TableBuffers, bytes: Uint8Array, start: number): number {
  const length = bytes[start]!;
  const hash = hashBytes(KIND.NAMESPACE, bytes, start + 1, start + 1 + length);
  const mask = index.length / 2 - 1;
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const offset = index[slot * 2 + 1]!;
    if (offset === 0) return 0;
    if (offset < 0 || index[slot * 2] !== hash || arena[offset] !== KIND.NAMESPACE) continue;
    if (arena[offset + 1] !== length) continue;
    if (equalFolded(bytes, start + 1, arena, offset + NAMESPACE_HEAD_BYTES, length)) return offset;
  }
}

/** Offset of the block of the address in bytes[0, length); 0 = none. */
export function findAddress({ index, arena }: TableBuffers, bytes: Uint8Array, length: number): number {
  const hash = hashBytes(KIND.ADDRESS, bytes, 0, length);
  const mask = index.length / 2 - 1;
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const offset = index[slot * 2 + 1]!;
    if (offset === 0) return 0;
    if (offset < 0 || index[slot * 2] !== hash) continue;
    if (isAddressBlock(arena, offset, bytes, length)) return offset;
  }
}
