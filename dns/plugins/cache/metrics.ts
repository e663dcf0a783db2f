import { Counter, Gauge, type Registry } from '../../../src/base/metrics.ts';

const LABELS = ['server', 'zones', 'view'] as const;
const TYPED = ['server', 'type', 'zones', 'view'] as const;

/** CoreDNS's names. */
export class CacheMetrics implements AsyncDisposable {
  readonly #registry: Registry;
  readonly entries;
  readonly hits;
  readonly misses;
  readonly requests;
  readonly prefetches;
  readonly drops;
  readonly stale;
  readonly evictions;

  constructor(registry: Registry) {
    this.#registry = registry;
    const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
      new Counter({
        name: `coredns_cache_${name}`,
        help,
        labelNames: [...labelNames],
        registers: [registry],
      });
    this.entries = new Gauge({
      name: 'coredns_cache_entries',
      help: 'The number of elements in the cache.',
      labelNames: [...TYPED],
      registers: [registry],
    });
    this.hits = counter('hits_total', 'The count of cache hits.', TYPED);
    this.misses = counter('misses_total', 'The count of cache misses.', LABELS);
    this.requests = counter('requests_total', 'The count of cache requests.', LABELS);
    this.prefetches = counter(
      'prefetch_total',
      'The number of times the cache has prefetched an item.',
      LABELS,
    );
    this.drops = counter('drops_total', 'Replies not kept because they answered another question.', LABELS);
    this.stale = counter('served_stale_total', 'Requests served from stale entries.', LABELS);
    this.evictions = counter('evictions_total', 'The count of cache evictions.', TYPED);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const names = ['entries', 'hits_total', 'misses_total', 'requests_total', 'prefetch_total'];
    for (const name of [...names, 'drops_total', 'served_stale_total', 'evictions_total']) {
      this.#registry.removeSingleMetric(`coredns_cache_${name}`);
    }
  }
}
