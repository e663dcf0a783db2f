import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import type { EntranceKind } from '../packet/decide.ts';
import { DIALS_MAX, REDIAL_PAUSE_MS } from '../limits.ts';
import { endpointId } from './balancer.ts';
import type { EndpointCounters } from './counters.ts';
import type { PortState } from './port-state.ts';
import type { RelayContext } from './relay-context.ts';

export interface ClientDeps {
  readonly context: RelayContext;
  readonly port: PortState;
  readonly entrance: EntranceKind;
  readonly clientAddress: string;
}

/** What to dial, after which pause, and how long to wait for an answer. */
export interface Dial {
  readonly endpoint: EndpointAddressPort;
  readonly pauseMs: number;
  readonly deadlineMs: number;
}

/**
 * One client's way to an endpoint: each dial goes to another one and may last longer, until one answers or the ladder
 * ends. Knows no sockets: both engines climb it.
 */
export class DialLadder {
  readonly #deps: ClientDeps;
  #tried: Set<string> | undefined;
  #dials = 0;
  #timeouts = 0;

  constructor(deps: ClientDeps) {
    this.#deps = deps;
  }

  /** `candidates`: the endpoints this client may reach now. Undefined: no endpoint took it, which is counted. */
  next(candidates: readonly EndpointAddressPort[]): Dial | undefined {
    const { port, context, clientAddress } = this.#deps;
    const { dialDeadlinesMs } = context.limits;
    const { affinitySeconds } = port.view;
    const endpoint = port.balancer.pick(candidates, clientAddress, affinitySeconds, this.#tried);
    const deadlineMs = dialDeadlinesMs[this.#timeouts];
    if (!endpoint || deadlineMs === undefined || this.#dials >= DIALS_MAX) {
      port.counters.failed++;
      return undefined;
    }
    const isAgain = this.#tried?.has(endpointId(endpoint)) === true;
    if (isAgain) this.#tried = undefined;
    this.#dials++;
    return { endpoint, pauseMs: isAgain ? REDIAL_PAUSE_MS : 0, deadlineMs };
  }

  /** Gives the endpoint up for this client. The next dial is asked for anew, so that it follows a change. */
  failed(endpoint: EndpointAddressPort, why: 'deadline' | 'refused'): Dial | undefined {
    const id = endpointId(endpoint);
    const { port, entrance, clientAddress } = this.#deps;
    if (why === 'deadline') this.#timeouts++;
    port.balancer.failed(endpoint, clientAddress);
    port.counters.endpoint(id).dialFailures++;
    (this.#tried ??= new Set()).add(id);
    return this.next(port.candidates(entrance, clientAddress));
  }

  /** The endpoint took it: the numbers it is counted in until it ends. */
  answered(endpoint: EndpointAddressPort): EndpointCounters {
    const { port } = this.#deps;
    port.balancer.succeeded(endpoint);
    const counters = port.counters.endpoint(endpointId(endpoint));
    counters.connections++;
    counters.active++;
    return counters;
  }
}
