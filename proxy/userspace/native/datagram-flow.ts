import { EPOLL } from '../../../src/net/native/abi.ts';
import { ConnectedDatagrams } from '../../../src/net/native/datagram-dial.ts';
import type { PeerName } from '../../../src/net/native/datagram-pass.ts';
import type { ReadyHandler } from '../../../src/net/native/epoll-loop.ts';
import type { Failure } from '../../../src/net/native/errno.ts';
import type { UdpFlow } from '../udp-flow.ts';
import type { DatagramDoor } from './datagram-door.ts';
import type { DatagramRelay } from './datagram-relay.ts';
import { endpointName } from './endpoint-name.ts';
import type { PeerFlow } from './flow-table.ts';

const EVENTS = EPOLL.IN | EPOLL.EDGE;

interface FlowClient {
  readonly flow: UdpFlow;
  readonly peer: PeerName;
}

/** Carries a flow by a connected socket in the loop of its thread. */
export class DatagramFlow implements ReadyHandler, PeerFlow<DatagramFlow>, Disposable {
  readonly door: DatagramDoor;
  readonly flow: UdpFlow;
  /** The client. */
  readonly peer: PeerName;
  next: DatagramFlow | undefined;
  readonly #relay: DatagramRelay;
  readonly #socket: ConnectedDatagrams;

  private constructor(
    relay: DatagramRelay,
    door: DatagramDoor,
    client: FlowClient,
    socket: ConnectedDatagrams,
  ) {
    this.#relay = relay;
    this.door = door;
    this.flow = client.flow;
    this.peer = client.peer;
    this.#socket = socket;
  }

  /** A Failure where the endpoint has no route, or this process no descriptor. */
  static dial(relay: DatagramRelay, door: DatagramDoor, client: FlowClient): DatagramFlow | Failure {
    const socket = ConnectedDatagrams.dial(relay.loop, endpointName(client.flow.target));
    if (typeof socket === 'number') return socket;
    const carried = new DatagramFlow(relay, door, client, socket);
    const failure = relay.loop.add(socket, EVENTS, carried);
    if (failure === 0) return carried;
    socket[Symbol.dispose]();
    return failure;
  }

  get fd(): number {
    return this.#socket.fd;
  }

  /** The endpoint has answered, or its host has said that nobody listens. */
  ready(): void {
    if (!this.flow.ended) this.#relay.collect(this);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
