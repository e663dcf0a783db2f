import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { Clock } from '../../../src/base/clock.ts';
import { hasCode, messageOf } from '../../../src/base/fault.ts';
import type { Logger } from '../../../src/base/log.ts';
import { SyncLoop } from '../../../src/base/sync-loop.ts';
import type { ClusterOptions } from '../../cluster/options.ts';
import { PackedReader } from '../../cluster/table/packed-reader.ts';
import type { PackedTable } from '../../cluster/table/packed-table.ts';
import { readerOptions } from '../../cluster/table/reader-options.ts';
import { readTableFile, tableFile } from '../../cluster/table/table-file.ts';
import type { Outcome, Query } from '../../query.ts';
import { decodeMessage } from '../../wire/decode.ts';
import { encodeMessage, MAX_MESSAGE_BYTES } from '../../wire/encode.ts';
import { queryMessage } from '../../wire/message.ts';
import { EDE } from '../../wire/numbers.ts';

/** Changes are gathered for this long before the table is written again. */
const PACE = { minIntervalMs: 10_000, retryIntervalMs: 60_000, maxIntervalMs: 0 };

/** Answers from the table of an earlier run, for as long as the API server has not told what is true now. */
export class StaleTable {
  readonly #reader: PackedReader;
  readonly #savedMs: number;
  readonly #clock: Clock;
  readonly #out = new Uint8Array(MAX_MESSAGE_BYTES);

  private constructor(reader: PackedReader, savedMs: number, clock: Clock) {
    this.#reader = reader;
    this.#savedMs = savedMs;
    this.#clock = clock;
  }

  /** Undefined when there is no good file; a bad one is a warning, not a fault. */
  static read(
    deps: { clock: Clock; log: Logger },
    path: string,
    options: ClusterOptions,
  ): StaleTable | undefined {
    try {
      const read = readTableFile(readFileSync(path), options);
      if (!read.ok) {
        deps.log.warn('table of the last run not used', { path, reason: read.reason });
        return undefined;
      }
      const around = { ownsZone: () => true, foreignZones: [], rotate: false };
      const reader = new PackedReader(read.buffers, readerOptions(options, around), { stream: true });
      return new StaleTable(reader, read.savedMs, deps.clock);
    } catch (error) {
      if (!hasCode(error, 'ENOENT'))
        deps.log.warn('table of the last run not read', { path, reason: messageOf(error) });
      return undefined;
    }
  }

  /** Names that the table knows; the others may have come since. */
  answer({ request, question }: Query): Outcome | undefined {
    const { id, recursionDesired, checkingDisabled } = request;
    const plain = encodeMessage(queryMessage(question, { id, recursionDesired, checkingDisabled }));
    const size = this.#reader.answer(plain, plain.length, this.#out);
    const decoded = size > 0 ? decodeMessage(this.#out.slice(0, size)) : undefined;
    if (!decoded?.ok || decoded.message.rcode !== 'NOERROR' || decoded.message.truncated) return undefined;
    const seconds = Math.max(0, Math.round((this.#clock.nowMs() - this.#savedMs) / 1000));
    const text = `cluster data of ${seconds} s ago; the API server has not been reached yet`;
    return { kind: 'reply', message: decoded.message, extended: { code: EDE.STALE_ANSWER, text } };
  }
}

/** Writes the table for the next run, beside the old file and then in its place. */
export class TableSaver implements AsyncDisposable {
  readonly #deps: { clock: Clock; log: Logger };
  readonly #path: string;
  readonly #table: PackedTable;
  readonly #options: ClusterOptions;
  readonly #loop: SyncLoop;
  #changed = false;

  constructor(
    deps: { clock: Clock; log: Logger },
    path: string,
    table: PackedTable,
    options: ClusterOptions,
  ) {
    this.#deps = deps;
    this.#path = path;
    this.#table = table;
    this.#options = options;
    this.#loop = new SyncLoop(deps, PACE, async () => await this.#save());
  }

  /** The table has changed. */
  mark(): void {
    this.#changed = true;
    this.#loop.mark();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
    try {
      if (this.#changed) await this.#save();
    } catch (error) {
      this.#deps.log.warn('table not saved', { path: this.#path, reason: messageOf(error) });
    }
  }

  async #save(): Promise<void> {
    this.#changed = false;
    const beside = `${this.#path}.new`;
    await writeFile(beside, tableFile(this.#table, this.#options, this.#deps.clock.nowMs()), { mode: 0o600 });
    await rename(beside, this.#path);
  }
}
