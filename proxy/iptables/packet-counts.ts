import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Iptables } from '../../src/net/iptables.ts';
import { PacketCounters } from '../../src/net/netlink/packet-counters.ts';
import { NETLINK, type OpenNetlink } from '../../src/net/netlink/socket.ts';
import type { PacketCounts } from '../backend.ts';

/** kube-proxy's counters in the kernel, both families together. */
export const COUNTER = {
  invalidDropped: 'ct_state_invalid_dropped_pkts',
  localhostAccepted: 'localhost_nps_accepted_pkts',
} as const;

const PROBE = 'WEFT-PROBE';

export interface PacketCountDeps {
  readonly log: Logger;
  readonly iptables: Iptables;
  /** Absent: nothing is counted. */
  readonly openNetlink?: OpenNetlink;
}

/** Makes and reads the counters that a few rules add to, where kernel and iptables know them. */
export class RuleCounters implements Disposable {
  readonly #deps: PacketCountDeps;
  #opened: PacketCounters | undefined;
  #usable: boolean | undefined;

  constructor(deps: PacketCountDeps) {
    this.#deps = deps;
  }

  /** Makes them; true when rules may refer to them. */
  async prepare(signal: AbortSignal): Promise<boolean> {
    if (this.#usable === false || !this.#deps.openNetlink) return false;
    try {
      const counters = (this.#opened ??= new PacketCounters(this.#deps.openNetlink(NETLINK.NETFILTER)));
      for (const name of Object.values(COUNTER)) await counters.create(name);
      if (this.#usable === undefined) await this.#probe(signal);
      return (this.#usable = true);
    } catch (error) {
      if (signal.aborted) throw error;
      this.#deps.log.info('dropped packets are not counted', { reason: messageOf(error) });
      return (this.#usable = false);
    }
  }

  async read(): Promise<PacketCounts | undefined> {
    if (!this.#usable || !this.#opened) return undefined;
    const [invalidDropped, localhostAccepted] = await Promise.all([
      this.#opened.packets(COUNTER.invalidDropped),
      this.#opened.packets(COUNTER.localhostAccepted),
    ]);
    return { invalidDropped: invalidDropped ?? 0, localhostAccepted: localhostAccepted ?? 0 };
  }

  /** Those that the other family's rules refer to stay until these go. */
  async remove(): Promise<void> {
    const { openNetlink } = this.#deps;
    if (!openNetlink) return;
    using counters = new PacketCounters(openNetlink(NETLINK.NETFILTER));
    try {
      for (const name of Object.values(COUNTER)) await counters.remove(name);
    } catch (error) {
      // a kernel that does not know them has none
      this.#deps.log.debug('no packet counters to remove', { reason: messageOf(error) });
    }
  }

  [Symbol.dispose](): void {
    this.#opened?.[Symbol.dispose]();
  }

  /** Not every iptables knows the match: tries it in a chain that nothing runs through. */
  async #probe(signal: AbortSignal): Promise<void> {
    const rule = `-m nfacct --nfacct-name ${COUNTER.invalidDropped} -j RETURN`;
    const declared = `*filter\n:${PROBE} - [0:0]\n`;
    const text = `${declared}-A ${PROBE} ${rule}\nCOMMIT\n${declared}-X ${PROBE}\nCOMMIT\n`;
    await this.#deps.iptables.restoreText(text, signal);
  }
}
