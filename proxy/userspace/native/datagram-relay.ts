import { DatagramPass } from '../../../src/net/native/datagram-pass.ts';
import type { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import { ERRNO, type Failure } from '../../../src/net/native/errno.ts';
import { UDP_BATCH, UDP_DATAGRAM_BYTES } from '../../limits.ts';
import type { UdpFlow } from '../udp-flow.ts';
import type { DatagramDoor } from './datagram-door.ts';
import type { DatagramFlow } from './datagram-flow.ts';

const SHAPE = { slots: UDP_BATCH, slotBytes: UDP_DATAGRAM_BYTES } as const;
/**
 * This process or its host is short of something, or does not let a datagram out (EPERM: a filter, or the table of conntrack is
 * full); the endpoint has no part in it.
 */
const OUR_OWN: ReadonlySet<Failure> = new Set(
  [ERRNO.EAGAIN, ERRNO.EINTR, ERRNO.EPERM, ERRNO.ENOBUFS, ERRNO.ENOMEM, ERRNO.EMFILE, ERRNO.ENFILE].map(
    (errno) => -errno,
  ),
);

/** What the UDP flows of a thread share: the batch on its way to endpoints, and the one on its way back. */
export class DatagramRelay {
  readonly loop: EpollLoop;
  readonly inward = new DatagramPass({ ...SHAPE, peers: 'senders' });
  readonly #outward = new DatagramPass({ ...SHAPE, peers: 'receivers' });
  /** Whose answers wait in the first slots of the way back. */
  #door: DatagramDoor | undefined;
  #waiting = 0;

  readonly #sendErrors: Float64Array;

  /** `sendErrors`: one number, counted up. */
  constructor(loop: EpollLoop, sendErrors: Float64Array) {
    this.loop = loop;
    this.#sendErrors = sendErrors;
  }

  /** Sends slots that came in to the endpoint of their flow. */
  forward({ flow, door, fd }: DatagramFlow, first: number, count: number): void {
    const end = first + count;
    for (let slot = first; slot < end; slot++) flow.sent(this.inward.lengthOf(slot));
    for (let at = first; at < end;) {
      const sent = this.inward.send(fd, at, end - at);
      if (sent < 0 && !OUR_OWN.has(sent)) {
        this.#drop(door, end - at);
        return flow.refused();
      }
      // the first one of the rest cannot go: the others may
      if (sent < 0) this.#drop(door, 1);
      at += Math.max(1, sent);
    }
  }

  /** Takes what an endpoint has answered; it leaves with the batch. */
  collect(carried: DatagramFlow): void {
    const { flow, door, peer } = carried;
    if (this.#door !== door || this.#waiting === UDP_BATCH) this.flush();
    const count = this.#outward.receive(carried.fd, this.#waiting);
    if (count < 0) {
      if (!OUR_OWN.has(count)) flow.refused();
      return;
    }
    this.#door = door;
    const end = this.#waiting + count;
    for (let slot = this.#waiting; slot < end; slot++) {
      this.#outward.setPeer(slot, peer);
      flow.answered(this.#outward.lengthOf(slot));
    }
    this.#waiting = end;
    // the loop tells of news only: there may be more than had room
    if (end === UDP_BATCH) this.loop.defer(carried);
  }

  /** Sends the answers that wait; after each turn, and before a door closes. */
  flush(): void {
    const { fd } = this.#door ?? { fd: -1 };
    for (let at = 0; at < this.#waiting;) {
      const sent = this.#outward.send(fd, at, this.#waiting - at);
      // the first one of the rest cannot go (no route, a filter, no room): the others may
      if (sent < 0 && this.#door) this.#drop(this.#door, 1);
      at += Math.max(1, sent);
    }
    this.#waiting = 0;
    this.#door = undefined;
  }

  /** A flow that came to nothing: only what its endpoint has caused is held against it. */
  lost(flow: UdpFlow, failure: Failure): void {
    if (OUR_OWN.has(failure)) flow.destroy();
    else flow.refused();
  }

  #drop(door: DatagramDoor, count: number): void {
    door.drop(count);
    this.#sendErrors[0]! += count;
  }
}
