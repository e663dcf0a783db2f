import { EPOLL } from '../../../src/net/native/abi.ts';
import type { ReadyHandler } from '../../../src/net/native/epoll-loop.ts';
import { UdpFlow } from '../udp-flow.ts';
import { DatagramFlow } from './datagram-flow.ts';
import type { DatagramRelay } from './datagram-relay.ts';
import { FlowTable } from './flow-table.ts';
import type { Way } from './way.ts';

/** What UdpDoor is on node:dgram, on batched system calls: receives datagrams of one entrance. The socket is its owner's. */
export class DatagramDoor implements ReadyHandler, Disposable {
  readonly #relay: DatagramRelay;
  readonly #way: Way;
  readonly #socket: { readonly fd: number };
  readonly #flows = new FlowTable<DatagramFlow>();

  constructor(relay: DatagramRelay, fd: number, way: Way) {
    this.#relay = relay;
    this.#socket = { fd };
    this.#way = way;
    relay.loop.add(this.#socket, EPOLL.IN, this);
  }

  get fd(): number {
    return this.#socket.fd;
  }

  /** One batch; the loop says again what is left, so that others have their turn. */
  ready(): void {
    const { inward } = this.#relay;
    const count = inward.receive(this.fd, 0);
    let first = 0;
    let flow: DatagramFlow | undefined;
    for (let slot = 0; slot < count; slot++) {
      if (flow && inward.isPeer(slot, flow.peer)) continue;
      if (flow) this.#relay.forward(flow, first, slot - first);
      const hash = inward.peerHash(slot);
      flow = this.#flows.find(inward, slot, hash) ?? this.#open(slot, hash);
      first = slot;
      if (!flow) this.drop(1);
    }
    if (flow) this.#relay.forward(flow, first, count - first);
  }

  /** Counts datagrams that nobody gets. */
  drop(count: number): void {
    this.#way.state.counters.refused += count;
  }

  /** Ends flows whose endpoint is gone. */
  refresh(): void {
    for (const { flow } of this.#flows.all()) flow.refresh();
  }

  [Symbol.dispose](): void {
    this.#relay.flush(); // what has been answered goes
    this.#relay.loop.remove(this.#socket);
    for (const { flow } of this.#flows.all()) flow.destroy();
  }

  #open(slot: number, hash: number): DatagramFlow | undefined {
    const { inward } = this.#relay;
    const { address } = inward.peerAddress(slot);
    let carried: DatagramFlow | undefined;
    const onEnd = (): void => {
      if (!carried) return;
      this.#flows.delete(hash, carried);
      carried[Symbol.dispose]();
    };
    const flow = UdpFlow.open(this.#way, { address, entrance: this.#way.entrance, onEnd });
    if (!flow) return undefined;
    const made = DatagramFlow.dial(this.#relay, this, { flow, peer: inward.peerName(slot) });
    if (typeof made === 'number') {
      this.#relay.lost(flow, made);
      return undefined;
    }
    carried = made;
    this.#flows.add(hash, carried);
    return carried;
  }
}
