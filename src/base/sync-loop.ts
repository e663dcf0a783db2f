import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';

export interface SyncLoopOptions {
  /** At least this long from the end of one run to the start of the next. */
  readonly minIntervalMs: number;
  /** A failed run is repeated after this long, unless a mark comes first. */
  readonly retryIntervalMs: number;
  /** A run happens at least this often even without a mark. 0 = never on its own. */
  readonly maxIntervalMs: number;
}

/**
 * Level-triggered work at our own pace: events only `mark`, the loop runs `sync` when the interval allows,
 * one run at a time, merging all marks that came meanwhile.
 */
export class SyncLoop implements AsyncDisposable {
  readonly #deps: { clock: Clock; log: Logger };
  readonly #options: SyncLoopOptions;
  readonly #sync: (signal: AbortSignal) => Promise<void>;
  readonly #abort = new AbortController();
  #timer: Disposable | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #marked = false;

  constructor(
    deps: { clock: Clock; log: Logger },
    options: SyncLoopOptions,
    sync: (signal: AbortSignal) => Promise<void>,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#sync = sync;
  }

  /** Asks for a run; never blocks. */
  mark(): void {
    this.#marked = true;
    if (!this.#running) this.#schedule(this.#lastEndMs + this.#options.minIntervalMs);
  }

  /** Waits for the run under way, cancels the rest. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('sync loop disposed'));
    this.#timer?.[Symbol.dispose]();
    await this.#running;
  }

  #schedule(dueMs: number): void {
    if (this.#abort.signal.aborted || dueMs >= this.#dueMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#dueMs = dueMs;
    const delayMs = Math.max(0, dueMs - this.#deps.clock.monotonicMs());
    this.#timer = this.#deps.clock.setTimer(delayMs, () => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.#running = this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#marked = false;
    let failed = false;
    try {
      await this.#sync(this.#abort.signal);
    } catch (error) {
      failed = true;
      if (!this.#abort.signal.aborted) {
        this.#deps.log.error('sync failed', { error, retryMs: this.#options.retryIntervalMs });
      }
    }
    // from here on a mark schedules for itself: between two steps it would be lost
    this.#running = undefined;
    const now = this.#deps.clock.monotonicMs();
    this.#lastEndMs = now;
    if (failed) this.#schedule(now + this.#options.retryIntervalMs);
    if (this.#marked) this.#schedule(now + this.#options.minIntervalMs);
    if (this.#options.maxIntervalMs > 0) this.#schedule(now + this.#options.maxIntervalMs);
  }
}
