import type { ServiceEntry } from '../../../endpoints/service-port.ts';
import type { SnapshotSource } from '../../../endpoints/snapshot.ts';
import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import { Histogram, type Registry } from '../../../src/base/metrics.ts';
import type { VisibleBatch } from '../../cluster/live-view.ts';

const PROGRAMMING = 'coredns_kubernetes_dns_programming_duration_seconds';
const VISIBLE = 'weft_dns_change_to_visible_seconds';
/** A change that needs longer than this is worth a line for the operator. */
const SLOW_MS = 100;

/** How long changes take to be in answers. */
export class VisibleMetrics implements AsyncDisposable {
  readonly #registry: Registry;
  readonly programming: Histogram<'service_kind'>;
  readonly visible: Histogram;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.programming = new Histogram({
      name: PROGRAMMING,
      help: 'Time from the change of a pod or service, as its slices tell it, to the change in DNS.',
      labelNames: ['service_kind'],
      // CoreDNS's: 1 ms to 524 s.
      buckets: Array.from({ length: 20 }, (_, i) => 0.001 * 2 ** i),
      registers: [registry],
    });
    this.visible = new Histogram({
      name: VISIBLE,
      help: 'Time from the arrival of a watch event to the first answer that shows it.',
      buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1],
      registers: [registry],
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [PROGRAMMING, VISIBLE]) this.#registry.removeSingleMetric(name);
  }
}

/** Counts each changed service of a batch, and logs it at level debug; a slow batch is a warning. */
export class ChangeLatency {
  readonly #deps: { snapshots: SnapshotSource; clock: Clock; log: Logger; metrics: VisibleMetrics };
  /** Trigger times that were counted: a later change of the service does not count an old one again. */
  readonly #counted = new Map<string, number>();
  /** Older changes were made before we looked. */
  readonly #sinceMs: number;

  constructor(deps: { snapshots: SnapshotSource; clock: Clock; log: Logger; metrics: VisibleMetrics }) {
    this.#deps = deps;
    this.#sinceMs = deps.clock.nowMs();
  }

  observe({ services, sinceArrivalMs }: VisibleBatch): void {
    const { log, metrics, snapshots } = this.#deps;
    const slow = services.size > 0 && sinceArrivalMs !== undefined && sinceArrivalMs > SLOW_MS;
    for (const key of services) {
      const entry = snapshots.snapshot.services.get(key);
      const programmingMs = this.#programmingMs(key, entry);
      if (sinceArrivalMs !== undefined) metrics.visible.observe(sinceArrivalMs / 1000);
      const { resourceVersion } = entry ?? {};
      log.debug('service visible', { service: key, resourceVersion, sinceArrivalMs, programmingMs });
    }
    if (slow) log.warn('changes were slow to be visible', { services: services.size, sinceArrivalMs });
  }

  #programmingMs(key: string, entry: ServiceEntry | undefined): number | undefined {
    const triggerMs = entry?.triggerTimeMs ?? 0;
    const counted = this.#counted.get(key) ?? this.#sinceMs;
    if (!entry) this.#counted.delete(key);
    if (!entry || triggerMs <= counted) return undefined;
    this.#counted.set(key, triggerMs);
    const ms = Math.max(0, this.#deps.clock.nowMs() - triggerMs);
    this.#deps.metrics.programming.observe({ service_kind: kindOf(entry) }, ms / 1000);
    return ms;
  }
}

/** Only the slice controller tells trigger times, so the service has a selector. */
function kindOf({ headless }: ServiceEntry): string {
  return headless ? 'headless_with_selector' : 'cluster_ip';
}
