import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { AffinityTable } from './affinity.ts';
import type { Ejections } from './ejection.ts';
import { Round } from './round.ts';

/** Text of an endpoint, the key of affinity, ejection and counters. */
export function endpointId(endpoint: EndpointAddressPort): string {
  return joinHostPort(endpoint.address, endpoint.port);
}

/** Turns with session affinity for one service port; endpoints that refuse are passed over. */
export class Balancer {
  readonly affinity: AffinityTable;
  readonly #ejections: Ejections;
  readonly #random: () => number;
  /** A view's lists keep their identity until they change; a changed one starts a new round. */
  readonly #rounds = new WeakMap<readonly EndpointAddressPort[], Round<EndpointAddressPort>>();

  constructor(
    deps: { readonly clock: Clock; readonly ejections: Ejections; readonly random?: () => number },
    options: { readonly clientsMax?: number } = {},
  ) {
    this.affinity = new AffinityTable(deps, options);
    this.#ejections = deps.ejections;
    this.#random = deps.random ?? Math.random;
  }

  /**
   * The endpoint for a new connection of this client, or for its next dial when `tried` holds those that
   * failed. Endpoints tried or ejected come last rather than never.
   */
  pick(
    endpoints: readonly EndpointAddressPort[],
    client: string,
    affinitySeconds: number,
    tried: ReadonlySet<string> | undefined,
  ): EndpointAddressPort | undefined {
    if (endpoints.length === 0) return undefined;
    const held = affinitySeconds > 0 ? this.affinity.get(client, affinitySeconds) : undefined;
    const sticky =
      held !== undefined && !tried?.has(held) && !this.#ejections.isOut(held)
        ? endpoints.find((endpoint) => endpointId(endpoint) === held)
        : undefined;
    const chosen = sticky ?? this.#inTurn(endpoints, tried);
    if (affinitySeconds > 0) this.affinity.hold(client, endpointId(chosen));
    return chosen;
  }

  failed(endpoint: EndpointAddressPort, client: string): void {
    this.#ejections.failed(endpointId(endpoint));
    this.affinity.forget(client);
  }

  succeeded(endpoint: EndpointAddressPort): void {
    if (this.#ejections.size > 0) this.#ejections.succeeded(endpointId(endpoint));
  }

  /** The next in turn that is neither tried nor ejected; else not tried; else simply the next. */
  #inTurn(
    endpoints: readonly EndpointAddressPort[],
    tried: ReadonlySet<string> | undefined,
  ): EndpointAddressPort {
    let round = this.#rounds.get(endpoints);
    if (!round) this.#rounds.set(endpoints, (round = new Round(endpoints, this.#random)));
    let next = round.next();
    let untried: EndpointAddressPort | undefined;
    // what is left of a round and one whole round: every endpoint is looked at
    for (let looked = 1; looked < 2 * endpoints.length; looked++) {
      if (!tried && this.#ejections.size === 0) return next;
      const id = endpointId(next);
      if (!tried?.has(id)) {
        if (!this.#ejections.isOut(id)) return next;
        untried ??= next;
      }
      next = round.next();
    }
    return untried ?? next;
  }
}
