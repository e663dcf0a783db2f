import type { Clock } from '../../base/clock.ts';
import type { Probe } from '../../api/kinds/pod.ts';
import { PROBE_EAGER_FIRST_MS, PROBE_EAGER_MAX_MS } from '../limits.ts';
import type { CheckResult } from './check.ts';
import type { Slots } from './slots.ts';

export type ProbeKind = 'readiness' | 'liveness' | 'startup';

interface ProbeDeps {
  readonly clock: Clock;
  readonly slots: Slots;
  check(probe: Probe, signal: AbortSignal): Promise<CheckResult>;
  /** The state after a threshold was reached: true healthy, false not. Called on changes only. */
  onState(healthy: boolean, message: string): void;
  /** Each failed probe that counts, for the event Unhealthy. */
  onFailure(message: string): void;
}

/**
 * Probes one container until disposed: waits initialDelaySeconds, then probes each periodSeconds; the state
 * changes after successThreshold successes or failureThreshold failures in a row.
 *
 * Beside the original's schedule, readiness and startup probes come quickly until the first success (50 ms
 * doubling to 1 s, never more often than that) and these extra probes count only when they succeed: a service
 * is found ready in the moment it is, not up to a period later.
 */
export class ProbeWorker implements Disposable {
  readonly #deps: ProbeDeps;
  readonly #probe: Probe;
  readonly #kind: ProbeKind;
  readonly #abort = new AbortController();
  readonly #periodMs: number;
  #timer: Disposable | undefined;
  #healthy: boolean | undefined;
  #successes = 0;
  #failures = 0;
  #eagerDelayMs = PROBE_EAGER_FIRST_MS;
  #nextRegularMs: number;

  constructor(
    deps: ProbeDeps,
    options: { readonly kind: ProbeKind; readonly probe: Probe; readonly delayMs: number },
  ) {
    this.#deps = deps;
    this.#probe = options.probe;
    this.#kind = options.kind;
    this.#periodMs = (options.probe.periodSeconds || 10) * 1000;
    this.#nextRegularMs = deps.clock.monotonicMs() + options.delayMs;
    this.#schedule(options.delayMs);
  }

  [Symbol.dispose](): void {
    this.#abort.abort(new Error('probe ended'));
    this.#timer?.[Symbol.dispose]();
  }

  get #eager(): boolean {
    return this.#healthy === undefined && this.#kind !== 'liveness';
  }

  #schedule(delayMs: number): void {
    this.#timer = this.#deps.clock.setTimer(Math.max(0, delayMs), () => void this.#run());
  }

  async #run(): Promise<void> {
    const now = this.#deps.clock.monotonicMs();
    const regular = now >= this.#nextRegularMs;
    if (regular) this.#nextRegularMs = Math.max(this.#nextRegularMs + this.#periodMs, now);
    const failure = await this.#deps.slots.run(() => this.#probeOnce());
    if (this.#abort.signal.aborted) return;
    if (failure === undefined) this.#succeeded();
    else if (regular) this.#failed(failure);
    const restMs = this.#nextRegularMs - this.#deps.clock.monotonicMs();
    if (this.#abort.signal.aborted) return;
    this.#schedule(this.#eager ? Math.min(restMs, this.#nextEagerMs()) : restMs);
  }

  #nextEagerMs(): number {
    const delayMs = this.#eagerDelayMs;
    this.#eagerDelayMs = Math.min(PROBE_EAGER_MAX_MS, delayMs * 2);
    return delayMs;
  }

  async #probeOnce(): Promise<CheckResult> {
    const abort = new AbortController();
    const cut = (): void => abort.abort(new Error('probe timed out'));
    const timer = this.#deps.clock.setTimer((this.#probe.timeoutSeconds || 1) * 1000, cut);
    this.#abort.signal.addEventListener('abort', cut, { once: true });
    try {
      return await this.#deps.check(this.#probe, abort.signal);
    } finally {
      timer[Symbol.dispose]();
      this.#abort.signal.removeEventListener('abort', cut);
    }
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#successes++;
    if (this.#successes >= (this.#probe.successThreshold || 1)) this.#become(true, '');
  }

  #failed(message: string): void {
    this.#successes = 0;
    this.#failures++;
    this.#deps.onFailure(message);
    if (this.#failures >= (this.#probe.failureThreshold || 3)) this.#become(false, message);
  }

  #become(healthy: boolean, message: string): void {
    if (this.#healthy === healthy) return;
    this.#healthy = healthy;
    this.#deps.onState(healthy, message);
  }
}
