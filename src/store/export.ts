import { Fault } from '../base/fault.ts';
import { STORE_INVALID } from './store.ts';
import type { RangeOptions, RangeResult, Store, StoreEntry } from './store.ts';

/**
 * A store as lines of JSON: a head, one line for each key in order, an end with the count, so that a file that
 * was cut off is noticed. Values are base64. Revisions and leases are told but are new after an import.
 */
const FORMAT_VERSION = 1;
const EXPORT_PAGE_ENTRIES = 500;
/** Writes under way at once while importing. */
const IMPORT_CONCURRENCY = 256;

/** What an export reads: a Store, or a snapshot of one. */
export interface ExportSource {
  range(prefix: string, options: RangeOptions): Promise<RangeResult> | RangeResult;
  leaseTtlSeconds(leaseId: string): Promise<number | undefined> | number | undefined;
}

export interface TransferTotals {
  keys: number;
  valueBytes: number;
  /** The revision exported, or the newest one after an import. */
  revision: number;
}

interface EntryLine {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease?: string;
  readonly leaseTtlSeconds?: number;
}

/** @param totals is filled while the lines are made */
export async function* exportLines(
  source: ExportSource,
  prefix: string,
  totals: TransferTotals,
): AsyncGenerator<string> {
  let page = await source.range(prefix, { limit: EXPORT_PAGE_ENTRIES });
  const { revision } = page;
  totals.revision = revision;
  yield line({ 'weft-store': FORMAT_VERSION, revision, prefix });
  for (;;) {
    for (const entry of page.entries) {
      totals.keys++;
      totals.valueBytes += entry.value.byteLength;
      yield line(await entryLine(source, entry));
    }
    const after = page.entries.at(-1)?.key;
    if (!page.more || after === undefined) break;
    page = await source.range(prefix, { limit: EXPORT_PAGE_ENTRIES, after, revision });
  }
  yield line({ end: true, keys: totals.keys });
}

async function entryLine(source: ExportSource, entry: StoreEntry): Promise<EntryLine> {
  const { key, createRevision, modRevision, leaseId } = entry;
  const value = Buffer.from(entry.value.buffer, entry.value.byteOffset, entry.value.byteLength).toString(
    'base64',
  );
  const leaseTtlSeconds = leaseId === undefined ? undefined : await source.leaseTtlSeconds(leaseId);
  if (leaseId === undefined || leaseTtlSeconds === undefined)
    return { key, value, createRevision, modRevision };
  return { key, value, createRevision, modRevision, lease: leaseId, leaseTtlSeconds };
}

/**
 * Writes what was exported. Without overwrite a key that exists is a Fault and keeps its value.
 * @throws Fault STORE_INVALID with the line number for text that is no export, or that was cut off
 */
export async function importLines(
  store: Store,
  lines: AsyncIterable<string>,
  options: { readonly overwrite: boolean },
): Promise<TransferTotals> {
  const totals: TransferTotals = { keys: 0, valueBytes: 0, revision: 0 };
  const leases = new Map<string, Promise<string>>();
  let underWay: Promise<void>[] = [];
  let number = 0;
  let ended = false;
  for await (const text of lines) {
    number++;
    const found = parseLine(text, number);
    if (number === 1) checkHead(found);
    else if (ended) throw new Fault(STORE_INVALID, `line ${number}: nothing may follow the end`);
    else if (found['end'] === true) ended = checkEnd(found, totals.keys, number);
    else {
      const entry = checkEntry(found, number);
      totals.keys++;
      totals.valueBytes += Buffer.byteLength(entry.value, 'base64');
      const write = importEntry(store, entry, leases, options.overwrite);
      write.catch(() => {}); // heard of below, once the lines read so far are under way
      underWay.push(write);
    }
    if (underWay.length < IMPORT_CONCURRENCY) continue;
    await Promise.all(underWay);
    underWay = [];
  }
  await Promise.all(underWay);
  if (!ended)
    throw new Fault(
      STORE_INVALID,
      `the export was cut off after line ${number}; ${totals.keys} keys were imported`,
    );
  totals.revision = await store.currentRevision();
  return totals;
}

async function importEntry(
  store: Store,
  entry: EntryLine,
  leases: Map<string, Promise<string>>,
  overwrite: boolean,
): Promise<void> {
  const { key, lease, leaseTtlSeconds } = entry;
  let leaseId: string | undefined;
  if (lease !== undefined && leaseTtlSeconds !== undefined) {
    let granted = leases.get(lease);
    if (!granted) leases.set(lease, (granted = store.grantLease(leaseTtlSeconds)));
    leaseId = await granted;
  }
  const value = Buffer.from(entry.value, 'base64');
  const expected = overwrite ? undefined : 0;
  const result = await store.put(key, value, expected, leaseId === undefined ? {} : { leaseId });
  if (!result.ok) {
    throw new Fault(STORE_INVALID, `${key} exists already; import into an empty store, or use --overwrite`);
  }
}

function parseLine(text: string, number: number): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found === 'object' && found !== null) return found as Record<string, unknown>;
  } catch {
    // told below
  }
  throw new Fault(STORE_INVALID, `line ${number} is not a JSON object; is this an export of a weft store?`);
}

function checkHead(head: Record<string, unknown>): void {
  if (head['weft-store'] === FORMAT_VERSION) return;
  throw new Fault(STORE_INVALID, `line 1 is not the head of an export of version ${FORMAT_VERSION}`);
}

function checkEnd(end: Record<string, unknown>, keys: number, number: number): true {
  if (end['keys'] === keys) return true;
  throw new Fault(
    STORE_INVALID,
    `line ${number}: the end says ${String(end['keys'])} keys, there were ${keys}`,
  );
}

function checkEntry(found: Record<string, unknown>, number: number): EntryLine {
  const { key, value, lease, leaseTtlSeconds } = found;
  const leaseFits = lease === undefined || (typeof lease === 'string' && typeof leaseTtlSeconds === 'number');
  if (typeof key === 'string' && typeof value === 'string' && leaseFits) return found as unknown as EntryLine;
  throw new Fault(STORE_INVALID, `line ${number}: an entry needs key and value as text`);
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** Splits bytes into lines; the last one needs no end. Invalid UTF-8 throws. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  for await (const chunk of chunks) {
    const parts = (
      rest + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))
    ).split('\n');
    rest = parts.pop()!;
    yield* parts;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}
