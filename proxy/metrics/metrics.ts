import { Counter, Gauge, Histogram, type Registry } from '../../src/base/metrics.ts';
import type { Family } from '../../src/net/ip.ts';
import type { Applied, ProxyMode } from '../backend.ts';
import { openModeMetrics } from './modes.ts';

/** kube-proxy's buckets: 1 ms to 16 s, doubling; and for programming latency up to 5 min. */
const SYNC_BUCKETS = Array.from({ length: 15 }, (_, i) => 0.001 * 2 ** i);
const PROGRAMMING_BUCKETS = [
  0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 50, 60, 90, 120, 180, 240, 300,
];

export interface SyncSample {
  readonly family: Family;
  readonly mode: ProxyMode;
  readonly applied: Applied;
  /** Time since the change that triggered each changed port was made, ms. */
  readonly programmingMs: readonly number[];
  /** Service ports whose endpoints changed. */
  readonly endpointChanges: number;
}

/** What kube-proxy publishes, by its names. */
export interface ProxyMetrics {
  changed(services: number): void;
  synced(sample: SyncSample): void;
  /** A sync that was given up; `partial`: of what changed. */
  failed(family: Family, mode: ProxyMode, partial: boolean): void;
  health(path: 'healthz' | 'livez', status: number): void;
  /** Services of policy Local without a local endpoint. */
  noLocalEndpoints(family: Family, policy: 'internal' | 'external', count: number): void;
}

export const NO_METRICS: ProxyMetrics = {
  changed() {},
  synced() {},
  failed() {},
  health() {},
  noLocalEndpoints() {},
};

/** Changes of endpoints wait as changes of their services: both tell how many services are not yet applied. */
function pendingChanges(registry: Registry): readonly Gauge[] {
  return [
    gauge(registry, 'sync_proxy_rules_service_changes_pending', 'Changed services not yet applied', []),
    gauge(
      registry,
      'sync_proxy_rules_endpoint_changes_pending',
      'Services whose endpoints may have changed and are not yet applied',
      [],
    ),
  ];
}

/** Registers the metrics; a second proxier on one registry shares them. */
export function openProxyMetrics(registry: Registry): ProxyMetrics {
  const duration = durations(registry);
  const lastSync = gauge(registry, 'sync_proxy_rules_last_timestamp_seconds', 'Last finished sync', FAMILY);
  const lastQueued = gauge(
    registry,
    'sync_proxy_rules_last_queued_timestamp_seconds',
    'Last queued sync',
    [],
  );
  const total = counter(
    registry,
    'sync_proxy_rules_service_changes_total',
    'Services that changed, their endpoints included',
    [],
  );
  const pending = pendingChanges(registry);
  const failures = counter(registry, 'sync_proxy_rules_failures_total', 'Syncs that failed', FAMILY);
  const endpoints = counter(
    registry,
    'sync_proxy_rules_endpoint_changes_total',
    'Service ports whose endpoints changed',
    [],
  );
  const modes = openModeMetrics(registry);
  const programming = histogram(
    registry,
    'network_programming_duration_seconds',
    'Seconds from the change of a Service or pod to the rules that follow from it',
    PROGRAMMING_BUCKETS,
  );
  const noLocal = gauge(
    registry,
    'sync_proxy_rules_no_local_endpoints_total',
    'Service ports of policy Local without a local endpoint',
    ['traffic_policy', ...FAMILY],
  );
  const healthz = counter(registry, 'proxy_healthz_total', 'Replies of /healthz', ['code']);
  const livez = counter(registry, 'proxy_livez_total', 'Replies of /livez', ['code']);
  return {
    changed(services) {
      total.inc(services);
      for (const each of pending) each.inc(services);
      lastQueued.setToCurrentTime();
    },
    synced({ family, mode, applied, programmingMs, endpointChanges }) {
      const seconds = applied.durationMs / 1000;
      duration.all.observe({ ip_family: family }, seconds);
      (applied.full ? duration.full : duration.partial).observe({ ip_family: family }, seconds);
      lastSync.setToCurrentTime({ ip_family: family });
      for (const each of pending) each.set(0);
      endpoints.inc(endpointChanges);
      modes.applied(family, mode, applied);
      for (const ms of programmingMs) programming.observe({ ip_family: family }, ms / 1000);
    },
    failed(family, mode, partial) {
      failures.inc({ ip_family: family });
      modes.failed(family, mode, partial);
    },
    health: (path, status) => (path === 'healthz' ? healthz : livez).inc({ code: String(status) }),
    noLocalEndpoints: (family, policy, count) =>
      noLocal.set({ traffic_policy: policy, ip_family: family }, count),
  };
}

const PREFIX = 'kubeproxy_';
const FAMILY = ['ip_family'];

function durations(registry: Registry): { all: Histogram; full: Histogram; partial: Histogram } {
  const named = (name: string, help: string): Histogram => histogram(registry, name, help, SYNC_BUCKETS);
  return {
    all: named('sync_proxy_rules_duration_seconds', 'Seconds of a sync'),
    full: named('sync_full_proxy_rules_duration_seconds', 'Seconds of a sync of everything'),
    partial: named('sync_partial_proxy_rules_duration_seconds', 'Seconds of a sync of what changed'),
  };
}

function known<M>(registry: Registry, name: string, create: (name: string) => M): M {
  return (registry.getSingleMetric(PREFIX + name) as M | undefined) ?? create(PREFIX + name);
}

function counter(registry: Registry, id: string, help: string, labelNames: string[]): Counter {
  return known(registry, id, (name) => new Counter({ name, help, labelNames, registers: [registry] }));
}

function gauge(registry: Registry, id: string, help: string, labelNames: string[]): Gauge {
  return known(registry, id, (name) => new Gauge({ name, help, labelNames, registers: [registry] }));
}

function histogram(registry: Registry, id: string, help: string, buckets: number[]): Histogram {
  return known(
    registry,
    id,
    (name) => new Histogram({ name, help, labelNames: FAMILY, buckets, registers: [registry] }),
  );
}
