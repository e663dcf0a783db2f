import type { Ipvs } from '../../src/net/netlink/ipvs.ts';
import type { PortCounts } from '../backend.ts';
import { TrafficLedger } from '../kernel/traffic-ledger.ts';
import type { Ruleset } from './ruleset.ts';

/** Connections and bytes by endpoint, and their sum by service port: IPVS itself counts them. */
export class ServerTraffic {
  readonly #ledger = new TrafficLedger();

  async read(ipvs: Ipvs, ruleset: Ruleset, signal: AbortSignal): Promise<readonly PortCounts[]> {
    this.#ledger.begin();
    for (const [server, key] of ruleset.serverOwners()) {
      signal.throwIfAborted();
      for (const { real, connections, bytesIn, bytesOut } of await ipvs.reals(server)) {
        const carrier = `${server} ${real}`;
        const reading = { connections, bytesIn, bytesOut };
        this.#ledger.note(carrier, key, real, reading);
        this.#ledger.note(carrier, key, undefined, reading);
      }
    }
    return this.#ledger.take();
  }
}
