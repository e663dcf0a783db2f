import { crc32 } from 'node:zlib';
import type { ClusterOptions } from '../options.ts';
import { CONTROL, type TableBuffers } from './layout.ts';
import type { PackedTable } from './packed-table.ts';

/**
 * A compiled table as a file: one line of JSON, then index, ids and arena as they are in memory (little endian, as
 * every machine Node runs on here). Good only for the options it was compiled with.
 */
const FORMAT = 'weft-dns-table 2';

interface FileHead {
  readonly format: string;
  readonly options: string;
  readonly savedMs: number;
  readonly serial: number;
  readonly indexBytes: number;
  readonly idsBytes: number;
  readonly arenaBytes: number;
  readonly crc: number;
}

export type ReadTable =
  | { readonly ok: true; readonly buffers: TableBuffers; readonly savedMs: number }
  | { readonly ok: false; readonly reason: string };

/** The parts of a file, in order; copies, so the table may change while they are written. */
export function tableFile(table: PackedTable, options: ClusterOptions, savedMs: number): Uint8Array[] {
  const { control, index, ids, arena } = table.buffers;
  const { arenaBytes, idCount } = table.used;
  const parts = [
    Uint8Array.from(new Uint8Array(index.buffer)),
    Uint8Array.from(new Uint8Array(ids.buffer, 0, idCount * 4)),
    arena.slice(0, arenaBytes),
  ] as const;
  const head: FileHead = {
    format: FORMAT,
    options: fingerprint(options),
    savedMs,
    serial: control[CONTROL.SERIAL]!,
    indexBytes: parts[0].length,
    idsBytes: parts[1].length,
    arenaBytes: parts[2].length,
    crc: checksum(parts),
  };
  return [Buffer.from(`${JSON.stringify(head)}\n`), ...parts];
}

/** Reads a file of untrusted content. The table says it is not synced: what it lacks may exist. */
export function readTableFile(bytes: Uint8Array, options: ClusterOptions): ReadTable {
  const lineEnd = bytes.indexOf(0x0a);
  const head = readHead(Buffer.from(bytes.subarray(0, Math.max(0, lineEnd))).toString());
  if (!head) return { ok: false, reason: 'not a table of this version' };
  if (head.options !== fingerprint(options)) return { ok: false, reason: 'compiled with other options' };
  const { indexBytes, idsBytes, arenaBytes } = head;
  const body = bytes.subarray(lineEnd + 1);
  if (body.length !== indexBytes + idsBytes + arenaBytes) return { ok: false, reason: 'cut off' };
  const parts = [
    body.subarray(0, indexBytes),
    body.subarray(indexBytes, indexBytes + idsBytes),
    body.subarray(indexBytes + idsBytes),
  ] as const;
  if (checksum(parts) !== head.crc) return { ok: false, reason: 'damaged' };
  const buffers: TableBuffers = {
    control: new Int32Array(new SharedArrayBuffer(CONTROL.WORDS * 4)),
    index: new Int32Array(shared(parts[0]).buffer),
    ids: new Int32Array(shared(parts[1]).buffer),
    arena: shared(parts[2]),
  };
  buffers.control[CONTROL.SERIAL] = head.serial;
  // Look-ups end at a free slot.
  if (!buffers.index.some((word, i) => i % 2 === 1 && word === 0)) return { ok: false, reason: 'damaged' };
  return { ok: true, buffers, savedMs: head.savedMs };
}

function readHead(line: string): FileHead | undefined {
  try {
    const head = JSON.parse(line) as FileHead;
    const powerOfTwo = head.indexBytes >= 16 && (head.indexBytes & (head.indexBytes - 1)) === 0;
    const whole = [head.savedMs, head.idsBytes / 4, head.arenaBytes].every(
      (n) => Number.isSafeInteger(n) && n >= 0,
    );
    return head.format === FORMAT && powerOfTwo && whole ? head : undefined;
  } catch {
    return undefined;
  }
}

/** Everything that decides what stands in a table. */
function fingerprint(options: ClusterOptions): string {
  const { ttlSeconds, noEndpoints, endpointPodNames, ignoreEmptyService, strict } = options;
  const { namespaces, namespaceLabels, labels } = options;
  return JSON.stringify([
    ttlSeconds,
    noEndpoints,
    endpointPodNames,
    ignoreEmptyService,
    strict,
    options.zoneOrder,
    namespaces ? [...namespaces].sort() : null,
    namespaceLabels?.text ?? null,
    labels?.text ?? null,
  ]);
}

function checksum(parts: readonly Uint8Array[]): number {
  return parts.reduce((crc, part) => crc32(part, crc), 0);
}

function shared(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
