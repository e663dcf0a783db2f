import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Fault, messageOf } from '../../base/fault.ts';
import { siblingModule } from '../../base/module-url.ts';
import type { Journal, JournalBatch } from '../journal.ts';
import { STORE_CLOSED, STORE_OUTCOME_UNKNOWN } from '../store.ts';
import { encodeWrites } from './frames.ts';
import type { LoadReply, OpenReply, WorkerReply, WorkerRequest } from './messages.ts';

/** The thread's garbage is one batch at a time: it needs no large young generation, whatever the process has. */
const WORKER_YOUNG_MIB = 4;

interface Waiting {
  resolve(result: never): void;
  reject(error: unknown): void;
}

/** The worker's end in the main thread: requests go out numbered, replies settle them. */
export class SqliteJournal implements Journal {
  readonly #path: string;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #ended: Fault | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#worker = new Worker(siblingModule(import.meta.url, './sqlite-worker'), {
      name: 'weft-store',
      resourceLimits: { maxYoungGenerationSizeMb: WORKER_YOUNG_MIB },
    });
    this.#worker.on('message', (reply: WorkerReply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#end(messageOf(error)));
    this.#worker.on('exit', () => this.#end('it has ended'));
  }

  open(sizeMaxBytes: number): Promise<OpenReply> {
    return this.#ask({ kind: 'open', path: this.#path, sizeMaxBytes });
  }

  load(): Promise<LoadReply> {
    return this.#ask({ kind: 'load' });
  }

  commit(batch: JournalBatch): Promise<void> {
    const writes = encodeWrites(batch.writes);
    return this.#ask({ kind: 'commit', writes, granted: batch.granted, ended: batch.ended }, [writes]);
  }

  noteCompacted(revision: number): Promise<void> {
    return this.#ask({ kind: 'compacted', revision });
  }

  drop(revisions: readonly number[]): Promise<void> {
    return this.#ask({ kind: 'drop', revisions });
  }

  backup(target: string): Promise<void> {
    return this.#ask({ kind: 'backup', target });
  }

  fileBytes(): number | undefined {
    const sizes = ['', '-wal'].map(
      (ending) => statSync(this.#path + ending, { throwIfNoEntry: false })?.size ?? 0,
    );
    return sizes[0]! + sizes[1]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) {
      await this.#ask({ kind: 'close' }).catch(() => {}); // a file that was never opened needs no closing
    }
    this.#ended ??= new Fault(STORE_CLOSED, 'the store is closed');
    await this.#worker.terminate();
  }

  #ask<T>(request: WorkerRequest, transfer: ArrayBuffer[] = []): Promise<T> {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise<T>((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...request }, transfer);
    });
  }

  #settle(reply: WorkerReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.result as never);
    else waiting?.reject(new Fault(reply.code, reply.message));
  }

  #end(reason: string): void {
    this.#ended ??= new Fault(STORE_OUTCOME_UNKNOWN, `the store's thread failed: ${reason}`);
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
  }
}
