import { expect, test } from 'vitest';
import { openProxyMetrics } from '../../proxy/metrics/metrics.ts';
import { openPacketMetrics } from '../../proxy/metrics/packets.ts';
import { Registry } from '../../src/base/metrics.ts';

/** Of kube-proxy 1.36. */
const NAMES = `
sync_proxy_rules_duration_seconds sync_full_proxy_rules_duration_seconds sync_partial_proxy_rules_duration_seconds
sync_proxy_rules_last_timestamp_seconds sync_proxy_rules_last_queued_timestamp_seconds
network_programming_duration_seconds sync_proxy_rules_endpoint_changes_total
sync_proxy_rules_service_changes_pending sync_proxy_rules_endpoint_changes_pending sync_proxy_rules_service_changes_total
sync_proxy_rules_iptables_restore_failures_total sync_proxy_rules_iptables_partial_restore_failures_total
sync_proxy_rules_iptables_total sync_proxy_rules_iptables_last sync_proxy_rules_nftables_sync_failures_total
sync_proxy_rules_no_local_endpoints_total proxy_healthz_total proxy_livez_total
sync_proxy_rules_nftables_cleanup_failures_total iptables_ct_state_invalid_dropped_packets_total
iptables_localhost_nodeports_accepted_packets_total
conntrack_reconciler_sync_duration_seconds conntrack_reconciler_deleted_entries_total`;

test('the metrics have the names of kube-proxy', () => {
  const registry = new Registry();
  openProxyMetrics(registry);
  openPacketMetrics(registry, () => []);
  for (const name of NAMES.trim().split(/\s+/))
    expect(registry.getSingleMetric(`kubeproxy_${name}`), name).toBeDefined();
});

test('a mode counts its own failures, rules and stale flows; two proxiers share the numbers', async () => {
  const registry = new Registry();
  const [one, two] = [openProxyMetrics(registry), openProxyMetrics(registry)];
  const applied = { full: false, changedPorts: 1, durationMs: 5, refused: [] };
  const sample = { family: 'IPv4', programmingMs: [], endpointChanges: 2 } as const;
  const rules = { nat: { held: 7, written: 3 } };
  one.synced({ ...sample, mode: 'iptables', applied: { ...applied, retried: true, rules } });
  two.synced({
    ...sample,
    mode: 'nftables',
    applied: { ...applied, cleanupFailed: true, staleFlows: { deleted: 4, durationMs: 8 } },
  });
  two.failed('IPv4', 'nftables', true);
  const text = await registry.metrics();
  for (const line of [
    'sync_proxy_rules_iptables_partial_restore_failures_total{ip_family="IPv4"} 1',
    'sync_proxy_rules_iptables_total{table="nat",ip_family="IPv4"} 7',
    'sync_proxy_rules_iptables_last{table="nat",ip_family="IPv4"} 3',
    'sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"} 1',
    'sync_proxy_rules_nftables_cleanup_failures_total{ip_family="IPv4"} 1',
    'sync_proxy_rules_endpoint_changes_total 4',
    'conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} 4',
    'conntrack_reconciler_sync_duration_seconds_count{ip_family="IPv4"} 1',
  ])
    expect(text).toContain(`kubeproxy_${line}`);
});
