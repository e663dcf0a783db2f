import { createSocket, type Socket } from 'node:dgram';
import { UDP_EARLY_MAX } from '../limits.ts';
import type { UdpFlow } from './udp-flow.ts';
import { literal } from './udp-literal.ts';

/** Carries a flow by node:dgram. */
export class UdpSocketFlow implements Disposable {
  readonly flow: UdpFlow;
  readonly #socket: Socket;
  /** Datagrams that came before the socket was connected. */
  #early: Buffer[] | undefined = [];

  /** `reply` sends a datagram back to the client from the service's address. */
  constructor(flow: UdpFlow, reply: (datagram: Buffer) => void) {
    this.flow = flow;
    const { address, port } = flow.target;
    this.#socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', lookup: literal });
    this.#socket.on('message', (datagram) => {
      flow.answered(datagram.length);
      reply(datagram);
    });
    this.#socket.on('error', () => flow.refused());
    this.#socket.connect(port, address, () => this.#connected());
  }

  send(datagram: Buffer): void {
    this.flow.sent(datagram.length);
    if (!this.#early) this.#socket.send(datagram);
    else if (this.#early.length < UDP_EARLY_MAX) this.#early.push(datagram);
  }

  #connected(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    if (!this.flow.ended) for (const datagram of early) this.#socket.send(datagram);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
