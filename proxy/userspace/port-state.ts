import type { EndpointAddressPort, ServicePortView } from '../../endpoints/node-view.ts';
import { parseCidr, cidrContains, type Cidr } from '../../src/net/cidr.ts';
import { parseAddress } from '../../src/net/ip.ts';
import { decide, type Decision, type EntranceKind } from '../decide.ts';
import { Balancer } from './balancer.ts';
import { PortCounters } from './counters.ts';
import type { RelayContext } from './relay-context.ts';

const NOBODY: readonly EndpointAddressPort[] = [];

/** One service port while it is served: its newest view, its balance and its numbers. */
export class PortState {
  readonly balancer: Balancer;
  readonly counters = new PortCounters();
  readonly #context: RelayContext;
  #view: ServicePortView;
  #ranges: readonly Cidr[];

  constructor(context: RelayContext, view: ServicePortView) {
    this.#context = context;
    this.balancer = new Balancer(context, { clientsMax: context.limits.affinityClientsMax });
    this.#view = view;
    this.#ranges = rangesOf(view);
  }

  get view(): ServicePortView {
    return this.#view;
  }

  set view(view: ServicePortView) {
    if (view.affinitySeconds === 0) this.balancer.affinity.clear();
    this.#view = view;
    this.#ranges = rangesOf(view);
  }

  decide(entrance: EntranceKind, client: string): Decision {
    const sender = {
      kind: this.#context.classifier.kindOf(client, undefined),
      inRanges: () => {
        const bytes = parseAddress(client);
        return bytes !== undefined && this.#ranges.some((range) => cidrContains(range, bytes));
      },
    };
    return decide(this.#view, entrance, sender, this.#context.decision);
  }

  /** The endpoints this client may reach by this entrance; none when it is refused. */
  candidates(entrance: EntranceKind, client: string): readonly EndpointAddressPort[] {
    const decision = this.decide(entrance, client);
    return decision.verdict === 'dnat' ? decision.endpoints : NOBODY;
  }
}

function rangesOf(view: ServicePortView): readonly Cidr[] {
  return view.sourceRanges.flatMap((text) => parseCidr(text) ?? []);
}
