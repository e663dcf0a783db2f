import type { DatagramPass, PeerName } from '../../../src/net/native/datagram-pass.ts';

/** What a table holds: one flow a client. */
export interface PeerFlow<Flow> {
  readonly peer: PeerName;
  /** The next flow whose client has the same hash; kept by the table. */
  next: Flow | undefined;
}

/** The flows of one door by their client's socket address. A look-up allocates nothing. */
export class FlowTable<Flow extends PeerFlow<Flow>> {
  /** By hash; clients of the same one in a chain. */
  readonly #heads = new Map<number, Flow>();

  /** The flow of a slot's peer. */
  find(pass: DatagramPass, slot: number, hash: number): Flow | undefined {
    let flow = this.#heads.get(hash);
    while (flow && !pass.isPeer(slot, flow.peer)) flow = flow.next;
    return flow;
  }

  add(hash: number, flow: Flow): void {
    flow.next = this.#heads.get(hash);
    this.#heads.set(hash, flow);
  }

  delete(hash: number, flow: Flow): void {
    const head = this.#heads.get(hash);
    if (head !== flow) {
      let before = head;
      while (before && before.next !== flow) before = before.next;
      if (before) before.next = flow.next;
    } else if (flow.next) this.#heads.set(hash, flow.next);
    else this.#heads.delete(hash);
    flow.next = undefined;
  }

  /** All of them, as a list that may change meanwhile. */
  all(): readonly Flow[] {
    const flows: Flow[] = [];
    for (const head of this.#heads.values())
      for (let flow: Flow | undefined = head; flow; flow = flow.next) flows.push(flow);
    return flows;
  }
}
