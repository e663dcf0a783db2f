import { Counter, type Registry } from '../../src/base/metrics.ts';
import type { Backend, PacketCounts } from '../backend.ts';

const METRICS: Readonly<Record<keyof PacketCounts, readonly [string, string]>> = {
  invalidDropped: [
    'kubeproxy_iptables_ct_state_invalid_dropped_packets_total',
    'Packets dropped because conntrack calls them invalid',
  ],
  localhostAccepted: [
    'kubeproxy_iptables_localhost_nodeports_accepted_packets_total',
    'First packets of connections to node ports on 127.0.0.0/8',
  ],
};

/** Publishes what single rules count in the kernel, read at each scrape; a second caller takes over. */
export function openPacketMetrics(registry: Registry, backends: () => readonly Backend[]): void {
  for (const [field, [name, help]] of Object.entries(METRICS)) {
    if (registry.getSingleMetric(name)) registry.removeSingleMetric(name);
    const counter = new Counter({
      name,
      help,
      registers: [registry],
      collect: async () => {
        // both families add to the same counters
        for (const backend of backends()) {
          const counts = await backend.packetCounts?.();
          if (!counts) continue;
          counter.reset();
          counter.inc(counts[field as keyof PacketCounts]);
          return;
        }
      },
    });
  }
}
