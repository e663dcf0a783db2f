import { createSocket, type Socket } from 'node:dgram';
import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import { endpointId } from './balancer.ts';
import type { EndpointCounters } from './counters.ts';
import type { PortState } from './port-state.ts';
import type { RelayContext } from './relay-context.ts';
import type { Session } from './session-table.ts';
import { literal } from './udp-literal.ts';

export interface UdpFlowDeps {
  readonly context: RelayContext;
  readonly state: PortState;
  /** Sends a datagram back to the client from the service's address. */
  readonly reply: (datagram: Buffer) => void;
}

export interface UdpFlowOptions {
  readonly clientAddress: string;
  readonly target: EndpointAddressPort;
  readonly idleSweepsMax: number;
  readonly onEnd: () => void;
}

/** Datagrams of one client to one endpoint, over a connected socket of their own. */
export class UdpFlow implements Session {
  touched = true;
  idleSweeps = 0;
  idleSweepsMax: number;
  readonly clientAddress: string;
  readonly target: EndpointAddressPort;
  readonly #deps: UdpFlowDeps;
  readonly #options: UdpFlowOptions;
  readonly #socket: Socket;
  readonly #endpoint: EndpointCounters;
  #connected = false;
  #ended = false;

  constructor(deps: UdpFlowDeps, options: UdpFlowOptions) {
    this.#deps = deps;
    this.#options = options;
    this.idleSweepsMax = options.idleSweepsMax;
    this.clientAddress = options.clientAddress;
    this.target = options.target;
    this.#endpoint = deps.state.counters.endpoint(endpointId(options.target));
    deps.state.counters.connections++;
    deps.state.counters.active++;
    this.#endpoint.connections++;
    this.#endpoint.active++;
    deps.context.udp.add(this);
    const { address, port } = options.target;
    this.#socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', lookup: literal });
    this.#socket.on('message', (datagram) => this.#receive(datagram));
    this.#socket.on('error', () => this.#refused());
    this.#socket.connect(port, address, () => (this.#connected = true));
  }

  send(datagram: Buffer): void {
    const { counters } = this.#deps.state;
    this.touched = true;
    counters.bytesIn += datagram.length;
    this.#endpoint.bytesIn += datagram.length;
    if (this.#connected) this.#socket.send(datagram);
    else this.#socket.once('connect', () => void (this.#ended || this.#socket.send(datagram)));
  }

  destroy(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.close();
    this.#deps.context.udp.delete(this);
    this.#deps.state.counters.active--;
    this.#endpoint.active--;
    this.#options.onEnd();
  }

  #receive(datagram: Buffer): void {
    const { counters } = this.#deps.state;
    this.touched = true;
    counters.bytesOut += datagram.length;
    this.#endpoint.bytesOut += datagram.length;
    this.#deps.state.balancer.succeeded(this.target);
    this.#deps.reply(datagram);
  }

  /** The endpoint's host says nobody listens (ICMP): the client's next datagram goes to another. */
  #refused(): void {
    if (this.#ended) return;
    this.#endpoint.dialFailures++;
    this.#deps.state.balancer.failed(this.target, this.clientAddress);
    this.destroy();
  }
}

export function sameEndpoint(a: EndpointAddressPort, b: EndpointAddressPort): boolean {
  return a.address === b.address && a.port === b.port;
}
