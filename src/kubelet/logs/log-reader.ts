import { type FileHandle, open, stat } from 'node:fs/promises';
import type { LogOptions } from '../../api/kinds/pod-streams.ts';
import { LOG_FILES_MAX, LOG_LINE_MAX_BYTES, LOG_READ_CHUNK_BYTES } from '../limits.ts';
import { logParts } from './log-file.ts';
import { parseLogLine } from './log-line.ts';

/** A log that may still grow. */
export interface GrowingLog {
  readonly ended: boolean;
  onGrowth(listener: () => void): Disposable;
}

const NEWLINE = 10;
/** Room for the time, stream and tag before the text. */
const LINE_HEAD_BYTES = 64;

/** Text of a container's log, in chunks, as `kubectl logs` shows it: from the oldest kept part on. */
export async function* readLog(
  path: string,
  options: LogOptions,
  growing: GrowingLog | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const render = lineRenderer(options);
  let leftBytes = options.limitBytes ?? Number.POSITIVE_INFINITY;
  for await (const chunk of rawLines(path, options, growing, signal)) {
    const text = render(chunk);
    if (text.length === 0) continue;
    yield text.subarray(0, leftBytes);
    leftBytes -= text.length;
    if (leftBytes <= 0) return;
  }
}

/** Whole CRI lines in chunks, from the place the options ask for; goes on while the log grows and follow is set. */
async function* rawLines(
  path: string,
  options: LogOptions,
  growing: GrowingLog | undefined,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const parts = logParts(path, LOG_FILES_MAX);
  const start =
    options.tailLines === undefined ? { part: 0, offset: 0 } : await tailStart(parts, options.tailLines);
  for (let index = start.part; index < parts.length - 1; index++) {
    const part = await openIfThere(parts[index] ?? path);
    if (part) yield* wholeLines(part, index === start.part ? start.offset : 0, undefined, signal);
  }
  const current = await openIfThere(path);
  const offset = start.part === parts.length - 1 ? start.offset : 0;
  if (current) yield* wholeLines(current, offset, options.follow ? { path, growing } : undefined, signal);
}

/** Reads one file to its end; with `follow` also what comes later, over rotations. Closes the handle. */
async function* wholeLines(
  first: FileHandle,
  offset: number,
  follow: { readonly path: string; readonly growing: GrowingLog | undefined } | undefined,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let handle = first;
  let position = offset;
  let rest: Buffer = Buffer.alloc(0);
  try {
    while (!signal.aborted) {
      const ended = follow?.growing?.ended ?? true;
      const grown = follow?.growing ? nextGrowth(follow.growing, signal) : undefined;
      const { bytesRead, buffer } = await handle.read({
        position,
        buffer: Buffer.alloc(LOG_READ_CHUNK_BYTES),
      });
      position += bytesRead;
      if (bytesRead > 0) {
        grown?.cancel();
        const bytes = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        const end = bytes.lastIndexOf(NEWLINE) + 1;
        rest = Buffer.from(bytes.subarray(end));
        if (end > 0) yield bytes.subarray(0, end);
        continue;
      }
      const next = follow ? await rotatedTo(handle, follow.path) : undefined;
      if (next) {
        grown?.cancel();
        await handle.close();
        handle = next;
        position = 0;
        continue;
      }
      if (ended) return grown?.cancel();
      await grown?.arrived;
    }
  } finally {
    await handle.close();
  }
}

/** Listens before the file is read, so that no growth between the read and the wait is missed. */
function nextGrowth(growing: GrowingLog, signal: AbortSignal): { arrived: Promise<void>; cancel(): void } {
  let cancel = (): void => {};
  const arrived = new Promise<void>((resolve) => {
    const subscription = growing.onGrowth(() => cancel());
    cancel = () => {
      subscription[Symbol.dispose]();
      signal.removeEventListener('abort', cancel);
      resolve();
    };
    signal.addEventListener('abort', cancel, { once: true });
  });
  return { arrived, cancel: () => cancel() };
}

/** The new file when the path no longer names the one that is open. */
async function rotatedTo(handle: FileHandle, path: string): Promise<FileHandle | undefined> {
  const [open_, named] = await Promise.all([handle.stat(), stat(path).catch(() => undefined)]);
  return named && named.ino !== open_.ino ? await openIfThere(path) : undefined;
}

/**
 * Where the last `lines` lines begin, reading backwards from the end of the newest part. Files hold whole lines,
 * so the newline before the wanted ones is number lines + 1 from the end.
 */
async function tailStart(
  parts: readonly string[],
  lines: number,
): Promise<{ readonly part: number; readonly offset: number }> {
  let missing = lines;
  for (let part = parts.length - 1; part >= 0; part--) {
    const handle = await openIfThere(parts[part] ?? '');
    if (!handle) continue;
    try {
      const found = await newlineFromEnd(handle, missing + 1);
      if (found.offset !== undefined) return { part, offset: found.offset + 1 };
      missing -= found.count;
      if (missing === 0) return { part, offset: 0 };
    } finally {
      await handle.close();
    }
  }
  return { part: 0, offset: 0 };
}

/** The offset of the newline with this number from the end, or how many there are when they are fewer. */
async function newlineFromEnd(
  handle: FileHandle,
  number: number,
): Promise<{ readonly offset: number | undefined; readonly count: number }> {
  let count = 0;
  let end = (await handle.stat()).size;
  while (end > 0) {
    const begin = Math.max(0, end - LOG_READ_CHUNK_BYTES);
    const { buffer, bytesRead } = await handle.read({ position: begin, buffer: Buffer.alloc(end - begin) });
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (buffer[at] === NEWLINE && ++count === number) return { offset: begin + at, count };
    }
    end = begin;
  }
  return { offset: undefined, count };
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch {
    return undefined; // rotated away between the listing and now
  }
}

/** Drops the CRI head (or keeps the time), joins parts of long lines, leaves out what is older than asked for. */
function lineRenderer(options: LogOptions): (chunk: Buffer) => Buffer {
  const sinceTime =
    options.sinceTimeMs === undefined ? undefined : new Date(options.sinceTimeMs).toISOString().slice(0, -1);
  let inParts = false;
  return (chunk) => {
    const out: Buffer[] = [];
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, start);
      const end = newline < 0 ? chunk.length : newline;
      const line = parseHead(chunk.subarray(start, end));
      start = end + 1;
      if (!line || (sinceTime !== undefined && line.time < sinceTime)) continue;
      if (options.timestamps && !inParts) out.push(Buffer.from(`${line.time} `));
      out.push(line.text);
      if (!line.partial) out.push(Buffer.from('\n'));
      inParts = line.partial;
    }
    return Buffer.concat(out);
  };
}

function parseHead(
  line: Buffer,
): { readonly time: string; readonly partial: boolean; readonly text: Buffer } | undefined {
  const head = parseLogLine(line.subarray(0, LINE_HEAD_BYTES).toString('latin1'));
  if (!head) return undefined;
  const headBytes = head.time.length + head.stream.length + 4;
  const text = line.subarray(Math.min(headBytes, line.length));
  return { time: head.time, partial: head.partial, text: text.subarray(0, LOG_LINE_MAX_BYTES) };
}
