import { Fault, hasCode } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { type IpvsChange, serverKey } from '../../src/net/ipvs.ts';
import type { Ipvs } from '../../src/net/netlink/ipvs.ts';
import { readSysctl, writeSysctl } from '../../src/net/sysctl.ts';
import type { IpvsOptions } from '../config/kernel-options.ts';

/** An address of RFC 5737 that nobody has. */
const PROBE = serverKey('tcp', '198.51.100.0', 20_000);

/** Makes a virtual server with the scheduler and takes it away. Faults: IPVS_UNAVAILABLE. */
export async function probeIpvs(ipvs: Ipvs, scheduler: string): Promise<void> {
  const server = { scheduler, persistSeconds: 0, flags: '' };
  const gone: IpvsChange = { verb: 'delete-server', key: PROBE };
  // one that an earlier probe left is in the way, and the other family may be probing at the same time
  await ipvs.write([gone], undefined, ['ESRCH']);
  try {
    await ipvs.write([{ verb: 'add-server', key: PROBE, server }], undefined, ['EEXIST']);
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause;
    const message = `this kernel has no scheduler ${scheduler}: modprobe ip_vs_${scheduler}, or use another one`;
    throw new Fault('IPVS_UNAVAILABLE', message, { cause });
  }
  await ipvs.write([gone], undefined, ['ESRCH']);
}

/** Settings of kube-proxy's ipvs mode, with what each is good for. */
const SYSCTLS: readonly (readonly [string, number])[] = [
  ['net.ipv4.vs.conntrack', 1], // masquerading needs conntrack to see the packets
  ['net.ipv4.vs.expire_nodest_conn', 1], // a connection whose real server is gone ends at once
  ['net.ipv4.vs.expire_quiescent_template', 1], // persistence does not hold on to a draining real server
  ['net.ipv4.ip_forward', 1],
];

/** Kernels before 5.9 delay new connections that reuse a port by a second when reuse mode is on. */
const REUSE_MODE_FIXED: readonly [number, number] = [5, 9];

const STRICT_ARP: readonly (readonly [string, number])[] = [
  ['net.ipv4.conf.all.arp_ignore', 1],
  ['net.ipv4.conf.all.arp_announce', 2],
];

export async function prepareHost(
  { ipvs, log }: { readonly ipvs: Ipvs; readonly log: Logger },
  options: IpvsOptions,
): Promise<void> {
  const wanted = [...SYSCTLS, ...(options.strictARP ? STRICT_ARP : [])];
  if (kernelBefore(REUSE_MODE_FIXED)) wanted.push(['net.ipv4.vs.conn_reuse_mode', 0]);
  for (const [name, value] of wanted) {
    const reason = writeSysctl(name, value);
    if (reason !== undefined) log.warn('cannot set what ipvs needs', { reason });
  }
  const seconds = [options.tcpTimeoutMs, options.tcpFinTimeoutMs, options.udpTimeoutMs].map((ms) =>
    Math.ceil(ms / 1000),
  );
  const [tcp = 0, tcpFin = 0, udp = 0] = seconds;
  if (seconds.some((value) => value > 0)) await ipvs.setTimeouts(tcp, tcpFin, udp);
}

function kernelBefore([major, minor]: readonly [number, number]): boolean {
  const [, at = '0', below = '0'] = /^(\d+)\.(\d+)/.exec(readSysctl('kernel.osrelease') ?? '') ?? [];
  return Number(at) < major || (Number(at) === major && Number(below) < minor);
}
