import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { Door, DoorDeps, DoorOptions } from './door.ts';
import { sweepsOf } from './session-table.ts';
import { sameEndpoint, UdpFlow } from './udp-flow.ts';
import { literal } from './udp-literal.ts';

/** Receives datagrams of one entrance. Rejects with the bind's error. */
export async function openUdpDoor(deps: DoorDeps, options: DoorOptions): Promise<Door> {
  const type = options.address.includes(':') ? 'udp6' : 'udp4';
  const socket = createSocket({ type, ipv6Only: type === 'udp6', lookup: literal });
  const door = new UdpDoor(deps, options, socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: options.address, port: options.port, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  socket.on('error', (error) => deps.context.log.warn('udp socket failed', { error }));
  return door;
}

class UdpDoor implements Door {
  readonly #deps: DoorDeps;
  readonly #options: DoorOptions;
  readonly #socket: Socket;
  readonly #flows = new Map<string, UdpFlow>();

  constructor(deps: DoorDeps, options: DoorOptions, socket: Socket) {
    this.#deps = deps;
    this.#options = options;
    this.#socket = socket;
    socket.on('message', (datagram, from) => this.#receive(datagram, from));
  }

  /** Flows to endpoints that are gone end; the client's next datagram starts a new one. */
  refresh(): void {
    for (const flow of this.#flows.values()) {
      const candidates = this.#candidates(flow.clientAddress);
      if (!candidates.some((endpoint) => sameEndpoint(endpoint, flow.target))) flow.destroy();
    }
  }

  [Symbol.dispose](): void {
    for (const flow of this.#flows.values()) flow.destroy();
    this.#socket.close();
  }

  #candidates(client: string): readonly EndpointAddressPort[] {
    return this.#deps.state.candidates(this.#options.entrance, client);
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    const id = joinHostPort(from.address, from.port);
    const flow = this.#flows.get(id) ?? this.#openFlow(id, from);
    if (flow) flow.send(datagram);
    else this.#deps.state.counters.refused++;
  }

  #openFlow(id: string, from: RemoteInfo): UdpFlow | undefined {
    const { context, state } = this.#deps;
    const { affinitySeconds } = state.view;
    const endpoint = state.balancer.pick(
      this.#candidates(from.address),
      from.address,
      affinitySeconds,
      undefined,
    );
    if (!endpoint) return undefined;
    if (!context.udp.hasRoom) context.udp.evictOne();
    const flow = new UdpFlow(
      { context, state, reply: (datagram) => this.#socket.send(datagram, from.port, from.address) },
      {
        clientAddress: from.address,
        target: endpoint,
        idleSweepsMax: sweepsOf(context.limits.udpIdleSeconds),
        onEnd: () => this.#flows.delete(id),
      },
    );
    this.#flows.set(id, flow);
    return flow;
  }
}
