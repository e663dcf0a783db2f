import { Counter, Gauge, Histogram, type Registry } from '../../src/base/metrics.ts';
import type { Family } from '../../src/net/ip.ts';
import type { Applied, ProxyMode } from '../backend.ts';

/** What kube-proxy counts of one mode alone. */
export interface ModeMetrics {
  applied(family: Family, mode: ProxyMode, applied: Applied): void;
  failed(family: Family, mode: ProxyMode, partial: boolean): void;
}

const RULES = 'kubeproxy_sync_proxy_rules_';
const CONNTRACK = 'kubeproxy_conntrack_reconciler_';

/** Registers the metrics; a second caller on one registry shares them. */
export function openModeMetrics(registry: Registry): ModeMetrics {
  const registers = [registry];
  const labelNames = ['ip_family'];
  const count = (name: string, help: string): Counter =>
    (registry.getSingleMetric(name) as Counter | undefined) ??
    new Counter({ name, help, labelNames, registers });
  const rules = (name: string, help: string): Gauge =>
    (registry.getSingleMetric(name) as Gauge | undefined) ??
    new Gauge({ name, help, labelNames: ['table', ...labelNames], registers });
  const full = count(`${RULES}iptables_restore_failures_total`, 'Failed restores of everything');
  const partial = count(`${RULES}iptables_partial_restore_failures_total`, 'Failed restores of what changed');
  const nftables = count(`${RULES}nftables_sync_failures_total`, 'Failed transactions');
  const cleanups = count(`${RULES}nftables_cleanup_failures_total`, 'Failed removals of what is not needed');
  const held = rules(`${RULES}iptables_total`, 'Rules in the kernel');
  const written = rules(`${RULES}iptables_last`, 'Rules written by the last sync');
  const deleted = count(`${CONNTRACK}deleted_entries_total`, 'Stale UDP flows that were forgotten');
  const name = `${CONNTRACK}sync_duration_seconds`;
  const duration =
    (registry.getSingleMetric(name) as Histogram | undefined) ??
    new Histogram({ name, help: 'Seconds of looking for stale UDP flows', labelNames, registers });
  return {
    applied(family, mode, { retried, cleanupFailed, rules: tables = {}, staleFlows }) {
      if (retried) this.failed(family, mode, true);
      if (cleanupFailed && mode === 'nftables') cleanups.inc({ ip_family: family });
      for (const [table, { held: all, written: last }] of Object.entries(tables)) {
        held.set({ table, ip_family: family }, all);
        written.set({ table, ip_family: family }, last);
      }
      if (!staleFlows) return;
      deleted.inc({ ip_family: family }, staleFlows.deleted);
      duration.observe({ ip_family: family }, staleFlows.durationMs / 1000);
    },
    failed(family, mode, isPartial) {
      if (mode === 'nftables') nftables.inc({ ip_family: family });
      if (mode === 'iptables') (isPartial ? partial : full).inc({ ip_family: family });
    },
  };
}
