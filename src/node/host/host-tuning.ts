import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { ConntrackOptions } from '../../../proxy/config/kernel-options.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';

/** What is written under /proc, by path. */
export type Tuning = readonly (readonly [path: string, value: string])[];

/**
 * Node ports and load balancer addresses reach pods of other hosts only through a host that forwards. IPv6 is left to
 * its administrator: there forwarding makes the host deaf to router advertisements.
 */
const FORWARDING: Tuning = [['/proc/sys/net/ipv4/ip_forward', '1']];
const CONNTRACK = '/proc/sys/net/netfilter/nf_conntrack_';

/** The settings kube-proxy makes at its start, and forwarding. Those that are 0 keep what the kernel has. */
export function hostTuning(options: {
  readonly conntrack: ConntrackOptions;
  readonly oomScoreAdj: number;
  readonly cores: number;
}): Tuning {
  const { conntrack, oomScoreAdj, cores } = options;
  const maxCount = conntrack.maxPerCore > 0 ? Math.max(conntrack.maxPerCore * cores, conntrack.min) : 0;
  const numbers: readonly (readonly [string, number])[] = [
    ['max', maxCount],
    ['tcp_timeout_established', Math.round(conntrack.tcpEstablishedTimeoutMs / 1000)],
    ['tcp_timeout_close_wait', Math.round(conntrack.tcpCloseWaitTimeoutMs / 1000)],
    ['tcp_be_liberal', conntrack.tcpBeLiberal ? 1 : 0],
    ['udp_timeout', Math.round(conntrack.udpTimeoutMs / 1000)],
    ['udp_timeout_stream', Math.round(conntrack.udpStreamTimeoutMs / 1000)],
  ];
  return [
    ['/proc/self/oom_score_adj', String(oomScoreAdj)],
    ...FORWARDING,
    ...numbers
      .filter(([, value]) => value > 0)
      .map(([name, value]) => [CONNTRACK + name, String(value)] as const),
  ];
}

/** Makes the settings of this host; what cannot be made is no reason to stop, as for kube-proxy. */
export async function applyHostTuning(
  log: Logger,
  options: { readonly conntrack: ConntrackOptions; readonly oomScoreAdj: number },
): Promise<void> {
  await applyTuning(log, hostTuning({ ...options, cores: availableParallelism() }));
}

/**
 * Modes that make service addresses the host's own let every host answer ARP for them. So that only the elected one
 * does, the kernel keeps quiet about addresses an interface does not have (kube-proxy's strictARP).
 */
export function strictArp(interfaces: readonly string[]): Tuning {
  return interfaces.flatMap((name) => [
    [`/proc/sys/net/ipv4/conf/${name}/arp_ignore`, '1'] as const,
    [`/proc/sys/net/ipv4/conf/${name}/arp_announce`, '2'] as const,
  ]);
}

/** Writes what differs; what cannot be written is told and left as it is. */
export async function applyTuning(log: Logger, tuning: Tuning): Promise<void> {
  for (const [path, value] of tuning) {
    try {
      const before = (await readFile(path, 'utf8')).trim();
      if (before === value || (path.endsWith('_max') && Number(before) >= Number(value))) continue;
      await writeFile(path, value);
      log.info('host setting written', { path, value, before });
    } catch (error) {
      log.info('host setting left as it is', { path, value, reason: messageOf(error) });
    }
  }
}
