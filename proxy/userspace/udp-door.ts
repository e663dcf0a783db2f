import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { joinHostPort } from '../../src/net/ip.ts';
import type { Door, DoorDeps, DoorOptions } from './door.ts';
import { UdpFlow } from './udp-flow.ts';
import { literal } from './udp-literal.ts';
import { UdpSocketFlow } from './udp-socket-flow.ts';

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
  /** By client, `ip:port`. */
  readonly #flows = new Map<string, UdpSocketFlow>();

  constructor(deps: DoorDeps, options: DoorOptions, socket: Socket) {
    this.#deps = deps;
    this.#options = options;
    this.#socket = socket;
    socket.on('message', (datagram, from) => this.#receive(datagram, from));
  }

  refresh(): void {
    for (const { flow } of this.#flows.values()) flow.refresh();
  }

  [Symbol.dispose](): void {
    for (const { flow } of this.#flows.values()) flow.destroy();
    this.#socket.close();
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    const id = joinHostPort(from.address, from.port);
    const carried = this.#flows.get(id) ?? this.#openFlow(id, from);
    if (carried) carried.send(datagram);
    else this.#deps.state.counters.refused++;
  }

  #openFlow(id: string, { address, port }: RemoteInfo): UdpSocketFlow | undefined {
    const onEnd = (): void => {
      this.#flows.get(id)?.[Symbol.dispose]();
      this.#flows.delete(id);
    };
    const flow = UdpFlow.open(this.#deps, { address, entrance: this.#options.entrance, onEnd });
    if (!flow) return undefined;
    const carried = new UdpSocketFlow(flow, (datagram) => this.#socket.send(datagram, port, address));
    this.#flows.set(id, carried);
    return carried;
  }
}
