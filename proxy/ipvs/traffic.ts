import type { Ipvs } from '../../src/net/ipvs.ts';
import type { PortCounts } from '../backend.ts';
import { TrafficLedger } from '../traffic-ledger.ts';
import type { Ruleset } from './ruleset.ts';

/** Connections and bytes by endpoint, and their sum by service port: IPVS itself counts them. */
export class ServerTraffic {
  readonly #ledger = new TrafficLedger();

  async read(ipvs: Ipvs, ruleset: Ruleset, signal: AbortSignal): Promise<readonly PortCounts[]> {
    const carried = await ipvs.traffic(signal);
    const owners = ruleset.serverOwners();
    this.#ledger.begin();
    for (const { server, real, ...reading } of carried) {
      const key = owners.get(server);
      if (key === undefined) continue;
      const carrier = `${server} ${real}`;
      this.#ledger.note(carrier, key, real, reading);
      this.#ledger.note(carrier, key, undefined, reading);
    }
    return this.#ledger.take();
  }
}
