import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import type { CacheEvent, ResourceCache } from './cache/resource-cache.ts';

const BACKOFF = { minMs: 100, maxMs: 60_000, jitter: 0, random: () => 0 };

/** Runs `process` for each key marked, one at a time; a failure is logged and tried again later. */
export class KeyedLoop implements AsyncDisposable {
  readonly #queue: WorkQueue<string>;
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #name: string;
  readonly #process: (key: string) => Promise<void>;
  readonly #listeners: Disposable[] = [];
  readonly #running: Promise<void>;

  constructor(
    deps: { readonly clock: Clock; readonly log: Logger },
    name: string,
    process: (key: string) => Promise<void>,
  ) {
    this.#deps = deps;
    this.#name = name;
    this.#process = process;
    this.#queue = new WorkQueue(deps, BACKOFF);
    this.#running = this.#run();
  }

  mark(key: string): void {
    this.#queue.add(key);
  }

  markAfter(key: string, delayMs: number): void {
    this.#queue.addAfter(key, delayMs);
  }

  /** Marks keys for everything there and every change; keyOf undefined = not of interest. */
  follow(
    cache: ResourceCache,
    keyOf: (event: Pick<CacheEvent, 'entry' | 'type'>) => string | undefined,
  ): void {
    const all = (): void => {
      for (const entry of cache.range(cache.prefix)) note({ entry, type: 'ADDED' });
    };
    const note = (event: Pick<CacheEvent, 'entry' | 'type'>): void => {
      const key = keyOf(event);
      if (key !== undefined) this.#queue.add(key);
    };
    all();
    this.#listeners.push(cache.listen({ namespace: '', event: note, tick: () => {}, lost: all }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) listener[Symbol.dispose]();
    this.#queue[Symbol.dispose]();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      const key = await this.#queue.take();
      if (key === undefined) return;
      try {
        await this.#process(key);
        this.#queue.forget(key);
      } catch (error) {
        this.#deps.log.warn('loop failed, trying again', { loop: this.#name, key, reason: messageOf(error) });
        this.#queue.addWithBackoff(key);
      } finally {
        this.#queue.done(key);
      }
    }
  }
}
