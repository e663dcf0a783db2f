import { Counter, Histogram, type Registry } from '../../../src/base/metrics.ts';

/** CoreDNS's names. */
export class ForwardMetrics implements AsyncDisposable {
  readonly #registry: Registry;
  readonly durations;
  readonly healthFailures;
  readonly cacheHits;
  readonly cacheMisses;
  readonly allDown;
  readonly concurrentRejects;

  constructor(registry: Registry) {
    this.#registry = registry;
    const registers = [registry];
    this.durations = new Histogram({
      name: 'coredns_proxy_request_duration_seconds',
      help: 'Histogram of the time each request took.',
      labelNames: ['proxy_name', 'to', 'rcode'],
      buckets: Array.from({ length: 16 }, (_, i) => 0.00025 * 2 ** i),
      registers,
    });
    this.healthFailures = new Counter({
      name: 'coredns_proxy_healthcheck_failures_total',
      help: 'Counter of the number of failed healthchecks.',
      labelNames: ['proxy_name', 'to'],
      registers,
    });
    this.cacheHits = new Counter({
      name: 'coredns_proxy_conn_cache_hits_total',
      help: 'Counter of connection cache hits per upstream and protocol.',
      labelNames: ['proxy_name', 'to', 'proto'],
      registers,
    });
    this.cacheMisses = new Counter({
      name: 'coredns_proxy_conn_cache_misses_total',
      help: 'Counter of connection cache misses per upstream and protocol.',
      labelNames: ['proxy_name', 'to', 'proto'],
      registers,
    });
    this.allDown = new Counter({
      name: 'coredns_forward_healthcheck_broken_total',
      help: 'Counter of when all upstreams are unhealthy.',
      registers,
    });
    this.concurrentRejects = new Counter({
      name: 'coredns_forward_max_concurrent_rejects_total',
      help: 'Counter of queries rejected because the concurrent queries were at maximum.',
      registers,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [
      'coredns_proxy_request_duration_seconds',
      'coredns_proxy_healthcheck_failures_total',
      'coredns_proxy_conn_cache_hits_total',
      'coredns_proxy_conn_cache_misses_total',
      'coredns_forward_healthcheck_broken_total',
      'coredns_forward_max_concurrent_rejects_total',
    ]) {
      this.#registry.removeSingleMetric(name);
    }
  }
}
