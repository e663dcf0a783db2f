import { type Clock, sleep } from '../../base/clock.ts';
import { GRACE_MIN_MS, KILL_ROUND_MS } from '../limits.ts';
import type { ContainerProcess } from '../runtime/container-process.ts';

interface EndingOptions {
  readonly process: ContainerProcess;
  readonly signal: NodeJS.Signals;
  /** For preStop and the answer to the signal together; after preStop there are GRACE_MIN_MS in any case. */
  readonly graceMs: number;
  preStop(graceMs: number): Promise<void>;
}

/** The end of one process: preStop, its stop signal, and after the grace period SIGKILL to all it started. */
export class ContainerEnding {
  /** Resolves when nothing of the process is left. */
  readonly done: Promise<void>;
  readonly #clock: Clock;
  readonly #options: EndingOptions;
  #killAtMs: number;

  constructor(clock: Clock, options: EndingOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#killAtMs = this.#latestMs(options.graceMs);
    this.done = this.#run();
  }

  /** A shorter grace period (a forced deletion) counts from now; a longer one changes nothing. */
  hasten(graceMs: number): void {
    const killAtMs = this.#latestMs(graceMs);
    if (killAtMs >= this.#killAtMs) return;
    this.#killAtMs = killAtMs;
    void this.#killAfter(killAtMs - this.#clock.monotonicMs());
  }

  #latestMs(graceMs: number): number {
    return this.#clock.monotonicMs() + Math.max(GRACE_MIN_MS, graceMs);
  }

  async #run(): Promise<void> {
    const { process: live, graceMs, signal } = this.#options;
    const deadlineMs = this.#clock.monotonicMs() + graceMs;
    const over = new AbortController();
    void live.exited.then(() => over.abort());
    await this.#options.preStop(graceMs);
    const killed = this.#killAfter(Math.max(GRACE_MIN_MS, deadlineMs - this.#clock.monotonicMs()));
    // a process that was only just started may not be there yet: ask again until it hears
    while (!over.signal.aborted && !live.signal(signal)) await sleep(this.#clock, KILL_ROUND_MS);
    await killed;
  }

  /** Resolves with the end of the process, which it brings about unless it comes sooner. */
  async #killAfter(delayMs: number): Promise<void> {
    const { process: live } = this.#options;
    using _timer = this.#clock.setTimer(delayMs, () => void live.kill());
    await live.exited;
  }
}
