import type { Iptables } from '../../src/net/iptables.ts';
import type { PortCounts } from '../backend.ts';
import { TrafficLedger } from '../kernel/traffic-ledger.ts';
import type { Ruleset } from './ruleset.ts';

/** The rule that sends a connection to its endpoint meets the first packet alone. */
const DNAT = /^\[(\d+):\d+\] -A (KUBE-SEP-\S+) .*--to-destination (\S+)/;

/** Connections by endpoint, and their sum by service port, from the counters of the rules. */
export class RuleTraffic {
  readonly #ledger = new TrafficLedger();

  async read(iptables: Iptables, ruleset: Ruleset, signal: AbortSignal): Promise<readonly PortCounts[]> {
    const saved = await iptables.saveCounters('nat', signal);
    const owners = ruleset.endpointChainOwners();
    this.#ledger.begin();
    for (const line of saved.split('\n')) {
      const [, packets, chain = '', endpoint = ''] = DNAT.exec(line) ?? [];
      const key = owners.get(chain);
      if (key === undefined) continue;
      const reading = { connections: Number(packets) };
      this.#ledger.note(chain, key, endpoint, reading);
      this.#ledger.note(chain, key, undefined, reading);
    }
    return this.#ledger.take();
  }
}
