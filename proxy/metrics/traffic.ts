import { Gauge, type Registry } from '../../src/base/metrics.ts';
import type { Backend, TrafficCounts } from '../backend.ts';
import { METRIC_PORTS_MAX } from '../limits.ts';

const FIELDS = {
  connections: 'Client connections (or UDP flows) since the start',
  active: 'Client connections (or UDP flows) under way',
  bytesIn: 'Bytes from clients to endpoints',
  bytesOut: 'Bytes from endpoints to clients',
  failed: 'Connections that no endpoint took; dials that failed, by endpoint',
  refused: 'Connections refused by policy, source range or limit',
} as const satisfies Record<keyof TrafficCounts, string>;

const NAMES: Readonly<Record<keyof TrafficCounts, string>> = {
  connections: 'connections_total',
  active: 'connections_active',
  bytesIn: 'received_bytes_total',
  bytesOut: 'sent_bytes_total',
  failed: 'failures_total',
  refused: 'refusals_total',
};

/**
 * Publishes `weft_proxy_*` by service port and endpoint, read from the backends at each scrape. Beyond
 * METRIC_PORTS_MAX ports the rest is summed as `other`, so that a scrape stays bounded.
 */
export function openTrafficMetrics(registry: Registry, backends: () => readonly Backend[]): void {
  let scrape: Promise<void> | undefined;
  const gauges = Object.entries(NAMES).map(([field, name]) => {
    const fullName = `weft_proxy_${name}`;
    const known = registry.getSingleMetric(fullName);
    if (known) registry.removeSingleMetric(fullName);
    const gauge = new Gauge({
      name: fullName,
      help: FIELDS[field as keyof TrafficCounts],
      labelNames: ['port', 'endpoint', 'ip_family'],
      registers: [registry],
      // whichever is collected first fills all
      collect: () => (scrape ??= fill().finally(() => (scrape = undefined))),
    });
    return { field: field as keyof TrafficCounts, gauge };
  });

  async function fill(): Promise<void> {
    const signal = AbortSignal.timeout(5_000);
    for (const { gauge } of gauges) gauge.reset();
    for (const backend of backends()) {
      const ports = (await backend.counters?.(signal)) ?? [];
      for (const [i, { key, endpoints, ...counts }] of ports.entries()) {
        const port = i < METRIC_PORTS_MAX ? key : 'other';
        add(counts, { port, endpoint: '', ip_family: backend.family });
        if (port === 'other') continue;
        for (const [endpoint, of] of endpoints) add(of, { port, endpoint, ip_family: backend.family });
      }
    }
  }

  function add(counts: TrafficCounts, labels: Record<string, string>): void {
    for (const { field, gauge } of gauges) {
      const value = counts[field];
      if (value !== undefined) gauge.inc(labels, value);
    }
  }
}
