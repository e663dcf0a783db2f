/**
 * What a process did to the files of a store, in order, as strace saw it: writes, truncations, syncs, and the lines it
 * told on standard output in between. From it the disk can be rebuilt as a power cut at any moment may have left it.
 */
import { readFileSync } from 'node:fs';

export type DiskStep =
  | { readonly kind: 'write'; readonly file: string; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly file: string; readonly size: number }
  | { readonly kind: 'sync'; readonly file: string }
  | { readonly kind: 'told'; readonly line: string };

/** Arguments of strace for a log that `readDiskLog` reads. */
export const DISK_LOG_OPTIONS =
  '-qq -f -y -xx -s 1000000 -e trace=pwrite64,ftruncate,fdatasync,fsync,write -e signal=none'.split(' ');

/** @param wanted tells by its path whether a file belongs to the store */
export function readDiskLog(path: string, wanted: (file: string) => boolean): DiskStep[] {
  const steps: DiskStep[] = [];
  const begun = new Map<string, string>();
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const [, pid = '', text = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(text);
    if (unfinished) {
      begun.set(pid, unfinished[1] ?? '');
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text);
    const step = parseCall(resumed ? `${begun.get(pid) ?? ''}${resumed[1]}` : text, wanted);
    if (step) steps.push(step);
  }
  return steps;
}

function parseCall(call: string, wanted: (file: string) => boolean): DiskStep | undefined {
  const [, name, fd = '', path = '', rest = ''] = /^(\w+)\((\d+)<([^>]*)>(.*) = \d+$/.exec(call) ?? [];
  if (name === undefined) return undefined; // failed, or not ours
  const file = unescape(path);
  if (name === 'write') return fd === '1' ? { kind: 'told', line: data(rest).toString().trim() } : undefined;
  if (!wanted(file)) return undefined;
  const numbers = rest.replace(/"[^"]*"/, '').match(/\d+/g) ?? [];
  if (name === 'pwrite64') return { kind: 'write', file, at: Number(numbers[1]), bytes: data(rest) };
  if (name === 'ftruncate') return { kind: 'truncate', file, size: Number(numbers[0]) };
  return { kind: 'sync', file };
}

function data(rest: string): Buffer {
  const [, hex = ''] = /"([^"]*)"/.exec(rest) ?? [];
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}

/** With -xx the paths are escaped, too. */
function unescape(path: string): string {
  return path.includes('\\x') ? Buffer.from(path.replaceAll('\\x', ''), 'hex').toString() : path;
}

const SECTOR_BYTES = 4_096;

export interface PowerCut {
  /** The disk stopped after this many steps. */
  readonly after: number;
  /** Whether this sync (by its index among the steps) did what it said; a lying disk keeps nothing by it. */
  readonly honoured: (step: number) => boolean;
  /** 0 to 1, for what becomes of sectors that no sync had made safe. */
  readonly random: () => number;
}

/** The files as they are found after the cut: what was synced, and any part of the rest. */
export function diskAfter(steps: readonly DiskStep[], cut: PowerCut): Map<string, Buffer> {
  const files = new Map<string, FoundFile>();
  const unsafe = new Map<string, DiskStep[]>();
  for (const [index, step] of steps.slice(0, cut.after).entries()) {
    if (step.kind === 'told') continue;
    const file = unsafe.get(step.file) ?? [];
    unsafe.set(step.file, file);
    if (step.kind !== 'sync') file.push(step);
    else if (cut.honoured(index)) for (const safe of file.splice(0)) apply(files, safe, () => true);
  }
  const share = cut.random();
  for (const rest of unsafe.values()) for (const step of rest) apply(files, step, () => cut.random() < share);
  return new Map(Array.from(files, ([path, { bytes, size }]) => [path, bytes.subarray(0, size)]));
}

interface FoundFile {
  /** Longer than the file, zero behind its end. */
  bytes: Buffer;
  size: number;
}

function apply(files: Map<string, FoundFile>, step: DiskStep, sectorSurvives: () => boolean): void {
  if (step.kind !== 'write' && step.kind !== 'truncate') return;
  const file = files.get(step.file) ?? { bytes: Buffer.alloc(0), size: 0 };
  files.set(step.file, file);
  if (step.kind === 'write') return write(file, step.at, step.bytes, sectorSurvives);
  if (!sectorSurvives()) return;
  grow(file, step.size);
  file.bytes.fill(0, step.size);
  file.size = step.size;
}

function write(file: FoundFile, at: number, bytes: Buffer, sectorSurvives: () => boolean): void {
  grow(file, at + bytes.length);
  file.size = Math.max(file.size, at + bytes.length);
  for (let from = 0; from < bytes.length;) {
    const to = Math.min(bytes.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES));
    if (sectorSurvives()) bytes.copy(file.bytes, at + from, from, to);
    from = to;
  }
}

function grow(file: FoundFile, size: number): void {
  if (file.bytes.length >= size) return;
  const bytes = Buffer.alloc(size * 2);
  file.bytes.copy(bytes);
  file.bytes = bytes;
}
