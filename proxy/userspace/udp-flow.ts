import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import type { EntranceKind } from '../packet/decide.ts';
import { endpointId } from './balancer.ts';
import type { EndpointCounters } from './counters.ts';
import type { DoorDeps } from './door.ts';
import { type Session, sweepsOf } from './session-table.ts';

export interface UdpClient {
  readonly address: string;
  /** By which of the service's addresses it came. */
  readonly entrance: EntranceKind;
  /** Called once, when the flow ends: its socket is to be closed. */
  readonly onEnd: () => void;
}

/**
 * Datagrams of one client to one endpoint: which endpoint, what is counted and when it ends. Knows no sockets: both engines
 * carry it, each by a connected socket a flow.
 */
export class UdpFlow implements Session {
  touched = true;
  idleSweeps = 0;
  readonly idleSweepsMax: number;
  readonly target: EndpointAddressPort;
  readonly #deps: DoorDeps;
  readonly #client: UdpClient;
  readonly #endpoint: EndpointCounters;
  #ended = false;

  private constructor(deps: DoorDeps, client: UdpClient, target: EndpointAddressPort) {
    const { context, state } = deps;
    this.#deps = deps;
    this.#client = client;
    this.target = target;
    this.idleSweepsMax = sweepsOf(context.limits.udpIdleSeconds);
    this.#endpoint = state.counters.endpoint(endpointId(target));
    for (const counters of [state.counters, this.#endpoint]) {
      counters.connections++;
      counters.active++;
    }
    context.udp.add(this);
  }

  /** Undefined: the client may not come, or there is no endpoint. At the limit of flows the one idle longest ends. */
  static open(deps: DoorDeps, client: UdpClient): UdpFlow | undefined {
    const { context, state } = deps;
    const { address, entrance } = client;
    const candidates = state.candidates(entrance, address);
    const endpoint = state.balancer.pick(candidates, address, state.view.affinitySeconds, undefined);
    if (!endpoint) return undefined;
    if (!context.udp.hasRoom) context.udp.evictOne();
    return new UdpFlow(deps, client, endpoint);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Ends when the client may not reach its endpoint any more; its next datagram starts a new flow. */
  refresh(): void {
    const { address, entrance } = this.#client;
    const candidates = this.#deps.state.candidates(entrance, address);
    if (!candidates.some((endpoint) => sameEndpoint(endpoint, this.target))) this.destroy();
  }

  /** A datagram on its way to the endpoint. */
  sent(sizeBytes: number): void {
    this.touched = true;
    this.#deps.state.counters.bytesIn += sizeBytes;
    this.#endpoint.bytesIn += sizeBytes;
  }

  /** A datagram of the endpoint on its way to the client. */
  answered(sizeBytes: number): void {
    this.touched = true;
    this.#deps.state.counters.bytesOut += sizeBytes;
    this.#endpoint.bytesOut += sizeBytes;
    this.#deps.state.balancer.succeeded(this.target);
  }

  /** The endpoint's host says nobody listens (ICMP): the client's next datagram goes to another. */
  refused(): void {
    if (this.#ended) return;
    this.#endpoint.dialFailures++;
    this.#deps.state.balancer.failed(this.target, this.#client.address);
    this.destroy();
  }

  destroy(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deps.context.udp.delete(this);
    this.#deps.state.counters.active--;
    this.#endpoint.active--;
    this.#client.onEnd();
  }
}

function sameEndpoint(a: EndpointAddressPort, b: EndpointAddressPort): boolean {
  return a.address === b.address && a.port === b.port;
}
