import type { Clock } from '../../src/base/clock.ts';
import { EJECTION_MAX_MS, EJECTION_MIN_MS } from '../limits.ts';

interface Failing {
  readonly failures: number;
  readonly untilMs: number;
}

/**
 * Endpoints that could not be dialled, left out for a while that doubles with each further failure. When it is
 * over, the next dial is the probe. Shared by all service ports, so one refused dial spares the others.
 */
export class Ejections {
  readonly #clock: Clock;
  readonly #failing = new Map<string, Failing>();

  constructor(deps: { readonly clock: Clock }) {
    this.#clock = deps.clock;
  }

  get size(): number {
    return this.#failing.size;
  }

  failed(endpoint: string): void {
    const failures = (this.#failing.get(endpoint)?.failures ?? 0) + 1;
    const pauseMs = Math.min(EJECTION_MAX_MS, EJECTION_MIN_MS * 2 ** Math.min(failures - 1, 10));
    this.#failing.set(endpoint, { failures, untilMs: this.#clock.monotonicMs() + pauseMs });
  }

  succeeded(endpoint: string): void {
    if (this.#failing.size > 0) this.#failing.delete(endpoint);
  }

  isOut(endpoint: string): boolean {
    if (this.#failing.size === 0) return false;
    const failing = this.#failing.get(endpoint);
    return failing !== undefined && failing.untilMs > this.#clock.monotonicMs();
  }

  /** Forgets endpoints whose time was over long ago. Called from the sweep. */
  prune(): void {
    const oldMs = this.#clock.monotonicMs() - EJECTION_MAX_MS;
    for (const [endpoint, { untilMs }] of this.#failing) if (untilMs < oldMs) this.#failing.delete(endpoint);
  }
}
