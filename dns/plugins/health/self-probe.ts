import { get } from 'node:http';
import { Counter, Histogram } from '../../../src/base/metrics.ts';
import { repeat } from '../../../src/base/repeat.ts';
import type { PluginDeps } from '../../plugin.ts';
import type { Peer } from '../../query.ts';

const EVERY_MS = 1000;
const TIMEOUT_MS = 5000;
const DURATION = 'coredns_health_request_duration_seconds';
const FAILURES = 'coredns_health_request_failures_total';

/** Asks our own /health once a second: how long that takes tells how busy the process is. CoreDNS's metric names. */
export class SelfProbe implements AsyncDisposable {
  readonly #deps: Pick<PluginDeps, 'clock' | 'metrics'>;
  readonly #at: Peer;
  readonly #durations: Histogram;
  readonly #failures: Counter;
  readonly #abort = new AbortController();
  readonly #probing: Disposable;

  constructor(deps: Pick<PluginDeps, 'clock' | 'metrics'>, at: Peer) {
    this.#deps = deps;
    this.#at = at;
    const registers = [deps.metrics];
    this.#durations = new Histogram({
      name: DURATION,
      help: 'Histogram of the time (in seconds) each request took.',
      buckets: [0.00025, 0.0025, 0.025, 0.25, 2.5],
      registers,
    });
    this.#failures = new Counter({
      name: FAILURES,
      help: 'The number of times the health check failed.',
      registers,
    });
    this.#probing = repeat(deps.clock, EVERY_MS, () => this.#probe());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    this.#probing[Symbol.dispose]();
    this.#deps.metrics.removeSingleMetric(DURATION);
    this.#deps.metrics.removeSingleMetric(FAILURES);
  }

  async #probe(): Promise<void> {
    const startedMs = this.#deps.clock.monotonicMs();
    const healthy = await this.#ask();
    if (this.#abort.signal.aborted) return;
    this.#durations.observe((this.#deps.clock.monotonicMs() - startedMs) / 1000);
    if (!healthy) this.#failures.inc();
  }

  #ask(): Promise<boolean> {
    const { address, port } = this.#at;
    const host = address === '::' ? '::1' : address === '0.0.0.0' ? '127.0.0.1' : address;
    const options = {
      host,
      port,
      path: '/health',
      timeout: TIMEOUT_MS,
      signal: this.#abort.signal,
      agent: false,
    };
    return new Promise((resolve) => {
      const request = get(options, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.on('timeout', () => request.destroy());
      request.on('error', () => resolve(false));
    });
  }
}
