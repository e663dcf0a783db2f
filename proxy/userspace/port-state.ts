import type { EndpointAddressPort, ServicePortView } from '../../endpoints/node-view.ts';
import type { PortCounts } from '../backend.ts';
import { decide, type Decision, type EntranceKind } from '../packet/decide.ts';
import { sourceRangeTest } from '../packet/source-ranges.ts';
import { Balancer, endpointId } from './balancer.ts';
import { PortCounters } from './counters.ts';
import type { RelayContext } from './relay-context.ts';

const NOBODY: readonly EndpointAddressPort[] = [];

/** One service port while it is served: its newest view, its balance and its numbers. */
export class PortState {
  readonly balancer: Balancer;
  readonly counters = new PortCounters();
  readonly #context: RelayContext;
  #view: ServicePortView;

  constructor(context: RelayContext, view: ServicePortView) {
    this.#context = context;
    this.balancer = new Balancer(context, { clientsMax: context.limits.affinityClientsMax });
    this.#view = view;
  }

  get view(): ServicePortView {
    return this.#view;
  }

  set view(view: ServicePortView) {
    if (view.affinitySeconds === 0) this.balancer.affinity.clear();
    this.#view = view;
    const ids = [...view.clusterEndpoints, ...view.localEndpoints].map(endpointId);
    this.counters.keepOnly(new Set(ids));
  }

  decide(entrance: EntranceKind, client: string): Decision {
    const sender = {
      kind: this.#context.classifier.kindOf(client, undefined),
      inRanges: () => sourceRangeTest(this.#view, this.#context.node)(client),
    };
    return decide(this.#view, entrance, sender, this.#context.decision);
  }

  /** The endpoints this client may reach by this entrance; none when it is refused. */
  candidates(entrance: EntranceKind, client: string): readonly EndpointAddressPort[] {
    const decision = this.decide(entrance, client);
    return decision.verdict === 'dnat' ? decision.endpoints : NOBODY;
  }
}

/** A copy of the numbers, endpoint by endpoint. */
export function portCounts({ view, counters }: PortState): PortCounts {
  const { connections, active, bytesIn, bytesOut, failed, refused } = counters;
  const endpoints = new Map(
    [...counters.endpoints].map(([id, { dialFailures, ...counts }]) => [
      id,
      { ...counts, failed: dialFailures },
    ]),
  );
  return { key: view.key, connections, active, bytesIn, bytesOut, failed, refused, endpoints };
}
