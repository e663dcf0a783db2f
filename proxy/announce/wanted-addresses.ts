import type { ServicePortView } from '../../endpoints/node-view.ts';
import type { NodeViewTracker } from '../../endpoints/node-view-tracker.ts';
import { anyContains, parsed } from '../packet/source.ts';

/** Addresses that came or went. */
export interface AddressChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/**
 * Load balancer addresses this node may answer for: there are endpoints, and under externalTrafficPolicy Local some of
 * them are ready here. Costs what changed: the view is never read whole again.
 */
export class WantedAddresses {
  readonly #view: NodeViewTracker;
  readonly #isAllowed: (address: string) => boolean;
  readonly #isEligible: () => boolean;
  #wasEligible = true;
  readonly #ofPort = new Map<string, readonly string[]>();
  readonly #users = new Map<string, number>();

  /**
   * `ranges`: CIDRs of the addresses that are ours to announce; empty = all. `isEligible`: whether this node may stand at
   * all, asked at each refresh.
   */
  constructor(
    view: NodeViewTracker,
    options: { readonly ranges: readonly string[]; readonly isEligible?: () => boolean },
  ) {
    this.#view = view;
    this.#isEligible = options.isEligible ?? (() => true);
    const ranges = parsed(options.ranges);
    this.#isAllowed = (address) => ranges.length === 0 || anyContains(ranges, address);
  }

  get addresses(): ReadonlySet<string> {
    return new Set(this.#users.keys());
  }

  refresh(): AddressChanges {
    const { view, changes } = this.#view.refresh();
    /** Each address looked at, and whether it was wanted before. */
    const was = new Map<string, boolean>();
    const touch = (address: string, by: number): void => {
      if (!was.has(address)) was.set(address, this.#users.has(address));
      this.#count(address, by);
    };
    const isEligible = this.#isEligible();
    const turned = isEligible !== this.#wasEligible;
    this.#wasEligible = isEligible;
    for (const key of turned ? new Set([...changes.ports, ...view.ports.keys()]) : changes.ports) {
      const port = view.ports.get(key);
      const next = port && isEligible ? this.#addressesOf(port) : [];
      for (const address of this.#ofPort.get(key) ?? []) touch(address, -1);
      for (const address of next) touch(address, 1);
      if (next.length > 0) this.#ofPort.set(key, next);
      else this.#ofPort.delete(key);
    }
    const all = [...was];
    return {
      added: all.flatMap(([address, had]) => (!had && this.#users.has(address) ? [address] : [])),
      removed: all.flatMap(([address, had]) => (had && !this.#users.has(address) ? [address] : [])),
    };
  }

  #addressesOf(port: ServicePortView): readonly string[] {
    const serves = port.externalLocal ? port.readyLocalCount > 0 : port.anyEndpoints;
    return serves ? port.loadBalancerIPs.filter(this.#isAllowed) : [];
  }

  #count(address: string, by: number): void {
    const users = (this.#users.get(address) ?? 0) + by;
    if (users > 0) this.#users.set(address, users);
    else this.#users.delete(address);
  }
}
