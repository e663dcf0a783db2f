import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { AffinityTable } from './affinity.ts';
import type { Ejections } from './ejection.ts';

/** Text of an endpoint, the key of affinity, ejection and counters. */
export function endpointId(endpoint: EndpointAddressPort): string {
  return joinHostPort(endpoint.address, endpoint.port);
}

/** Round robin with session affinity for one service port; endpoints that refuse are passed over. */
export class Balancer {
  readonly affinity: AffinityTable;
  readonly #ejections: Ejections;
  #next = 0;

  constructor(
    deps: { readonly clock: Clock; readonly ejections: Ejections },
    options: { readonly clientsMax?: number } = {},
  ) {
    this.affinity = new AffinityTable(deps, options);
    this.#ejections = deps.ejections;
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
    const chosen = sticky ?? this.#rotate(endpoints, tried);
    if (affinitySeconds > 0) this.affinity.hold(client, endpointId(chosen));
    return chosen;
  }

  failed(endpoint: EndpointAddressPort, client: string): void {
    this.#ejections.failed(endpointId(endpoint));
    this.affinity.forget(client);
  }

  succeeded(endpoint: EndpointAddressPort): void {
    this.#ejections.succeeded(endpointId(endpoint));
  }

  /** The next in turn that is neither tried nor ejected; else not tried; else simply the next. */
  #rotate(
    endpoints: readonly EndpointAddressPort[],
    tried: ReadonlySet<string> | undefined,
  ): EndpointAddressPort {
    const first = this.#next++;
    let untried: EndpointAddressPort | undefined;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[(first + i) % endpoints.length]!;
      if (!tried && this.#ejections.size === 0) return endpoint;
      const id = endpointId(endpoint);
      if (tried?.has(id)) continue;
      if (!this.#ejections.isOut(id)) {
        this.#next += i;
        return endpoint;
      }
      untried ??= endpoint;
    }
    return untried ?? endpoints[first % endpoints.length]!;
  }
}
