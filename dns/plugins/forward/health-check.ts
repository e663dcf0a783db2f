import type { Clock } from '../../../src/base/clock.ts';
import { queryMessage } from '../../wire/message.ts';
import type { ForwardOptions } from './parse.ts';
import type { ForwardMetrics } from './metrics.ts';
import type { Upstream } from './upstream.ts';

/** How long one check may take. */
const CHECK_TIMEOUT_MS = 1000;

/**
 * Asks an upstream that has failed every so often until it answers: any reply is health. Nothing is sent to upstreams
 * that work.
 */
export class HealthChecks implements Disposable {
  readonly #clock: Clock;
  readonly #options: ForwardOptions;
  readonly #metrics: ForwardMetrics;
  readonly #timers = new Map<Upstream, Disposable>();
  readonly #abort = new AbortController();

  constructor(deps: { clock: Clock; metrics: ForwardMetrics }, options: ForwardOptions) {
    this.#clock = deps.clock;
    this.#metrics = deps.metrics;
    this.#options = options;
  }

  isDown(upstream: Upstream): boolean {
    return this.#options.maxFails > 0 && upstream.failures >= this.#options.maxFails;
  }

  /** Starts checking after a failed question; does nothing while a check is under way. */
  suspect(upstream: Upstream): void {
    if (this.#options.maxFails === 0 || upstream.checking || this.#abort.signal.aborted) return;
    upstream.checking = true;
    void this.#check(upstream);
  }

  [Symbol.dispose](): void {
    this.#abort.abort(new Error('closed'));
    for (const timer of this.#timers.values()) timer[Symbol.dispose]();
  }

  async #check(upstream: Upstream): Promise<void> {
    const { healthDomain, healthNoRecursion, healthCheckMs, forceTcp } = this.#options;
    const request = queryMessage(
      { name: healthDomain, type: 'NS', class: 'IN' },
      { recursionDesired: !healthNoRecursion },
    );
    try {
      const transport = forceTcp ? 'tcp' : 'udp';
      await upstream.ask(request, transport, CHECK_TIMEOUT_MS, this.#abort.signal);
      upstream.failures = 0;
      upstream.checking = false;
    } catch {
      if (this.#abort.signal.aborted) return;
      upstream.failures++;
      this.#metrics.healthFailures.inc({ proxy_name: 'forward', to: upstream.label });
      const timer = this.#clock.setTimer(healthCheckMs, () => {
        this.#timers.delete(upstream);
        void this.#check(upstream);
      });
      this.#timers.set(upstream, timer);
    }
  }
}
