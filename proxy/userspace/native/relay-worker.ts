/**
 * A thread that takes the clients of service ports in and passes their bytes and datagrams on. It sleeps in epoll_wait and nowhere
 * else; what to serve reaches it by messages, read after a wake-up.
 */
import type { ServicePortView } from '../../../endpoints/node-view.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { joinHostPort } from '../../../src/net/ip.ts';
import { Acceptor } from '../../../src/net/native/acceptor.ts';
import { Arena } from '../../../src/net/native/arena.ts';
import { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import { errnoName } from '../../../src/net/native/errno.ts';
import { Gathering } from '../../../src/net/native/gathering.ts';
import type { SocketAddress } from '../../../src/net/native/socket-address.ts';
import type { StreamSocket } from '../../../src/net/native/stream-socket.ts';
import { localAddressOf, originalDestinationOf } from '../../../src/net/native/socket-options.ts';
import { ThreadSeat } from '../../../src/net/native/thread-seat.ts';
import { TimerWheel } from '../../../src/net/native/timer-wheel.ts';
import { TurnClock } from '../../../src/net/native/turn-clock.ts';
import type { PortCounts } from '../../backend.ts';
import { RELAY_GATHERING, RELAY_READ_BYTES, RELAY_TIMER_SLOTS, RELAY_TIMER_TICK_MS } from '../../limits.ts';
import { admit } from '../admit.ts';
import { portCounts, PortState } from '../port-state.ts';
import { relayContext, standing, type RelayContext, unknownNode } from '../relay-context.ts';
import { DatagramDoor } from './datagram-door.ts';
import { DatagramRelay } from './datagram-relay.ts';
import { PipePool } from './pipe-pool.ts';
import {
  CONTROL,
  type RelayData,
  type RelayDoor,
  type RelayOrder,
  type RelayReply,
} from './relay-messages.ts';
import { StreamSession, type StreamSessionDeps } from './stream-session.ts';
import type { Way } from './way.ts';

type Seat = ThreadSeat<RelayData, RelayOrder, RelayReply>;

class RelayWorker {
  readonly #seat: Seat;
  readonly #loop: EpollLoop;
  readonly #context: RelayContext;
  readonly #thread: StreamSessionDeps['thread'];
  readonly #ports = new Map<string, PortState>();
  readonly #doors = new Map<number, Disposable>();
  /** Made with the first UDP door: it holds room for whole batches. */
  #datagrams: DatagramRelay | undefined;
  /** Those of UDP, by service port. */
  readonly #datagramDoors = new Map<string, Set<DatagramDoor>>();
  /** By `ip:port`. */
  readonly #captured = new Map<string, Way>();
  /** Who wants to know when the last connection has ended. No promise is kept in a thread that never comes to rest. */
  readonly #waiting: number[] = [];

  constructor(seat: Seat) {
    const { descriptors, wakeFd, data } = seat;
    this.#seat = seat;
    const clock = new TurnClock(systemClock);
    const timers = new TimerWheel(clock, { slots: RELAY_TIMER_SLOTS, tickMs: RELAY_TIMER_TICK_MS });
    const gathering = new Gathering(RELAY_GATHERING);
    this.#loop = EpollLoop.open({ descriptors, timers, wakeFd, clock, gathering });
    const arena = new Arena(RELAY_READ_BYTES);
    const buffer = arena.allocate(RELAY_READ_BYTES);
    this.#thread = { loop: this.#loop, arena, buffer, pipes: new PipePool(descriptors) };
    // nothing here logs: what people must know goes to the owner
    this.#context = relayContext(
      { clock: systemClock, log: silentLogger },
      { ...data, node: unknownNode('IPv4') },
    );
  }

  run(): void {
    this.#seat.serve(this.#loop, { obey: (order) => this.#follow(order), turned: () => this.#turned() });
    this.#context.tcp.destroyAll();
    this.#context.udp.destroyAll();
    this.#loop[Symbol.dispose]();
  }

  #turned(): void {
    this.#datagrams?.flush();
    if (this.#publish() === 0 && this.#waiting.length > 0)
      for (const ask of this.#waiting.splice(0)) this.#answer(ask);
  }

  /** How many connections and flows there are, for the owner too. */
  #publish(): number {
    const { tcp, udp } = this.#context;
    const active = tcp.size + udp.size;
    Atomics.store(this.#seat.data.control, CONTROL.ACTIVE, active);
    return active;
  }

  #follow(order: RelayOrder): void {
    switch (order.kind) {
      case 'follow':
        Object.assign(this.#context, standing(order.node));
        break;
      case 'serve':
        this.#serve(order.view);
        break;
      case 'forget':
        this.#ports.delete(order.key);
        break;
      case 'open':
        this.#open(order.id, order.door);
        break;
      case 'close':
        this.#close(order.id);
        break;
      case 'sweep':
        this.#context.tcp.sweep();
        this.#context.udp.sweep();
        this.#context.ejections.prune();
        break;
      case 'counts':
        return this.#answer(order.ask, [...this.#ports.values()].map(portCounts));
      case 'empty':
        if (order.ask !== undefined) this.#waiting.push(order.ask);
        return;
      case 'settled':
        break;
    }
    this.#answer(order.ask);
  }

  #answer(ask: number | undefined, counts?: readonly PortCounts[]): void {
    if (ask === undefined) return;
    this.#publish(); // who is answered may look
    this.#seat.post({ kind: 'answer', ask, ...(counts && { counts }) });
  }

  #serve(view: ServicePortView): void {
    const state = this.#ports.get(view.key);
    if (state) state.view = view;
    else this.#ports.set(view.key, new PortState(this.#context, view));
    for (const door of this.#datagramDoors.get(view.key) ?? []) door.refresh();
  }

  #open(id: number, door: RelayDoor): void {
    const opened = door.kind === 'catcher' ? this.#catch(door) : this.#openFor(door);
    if (opened) this.#doors.set(id, opened);
  }

  /** Who was not brought by the kernel has no business here. */
  #catch({ fd, family, way }: Extract<RelayDoor, { kind: 'catcher' }>): Disposable {
    return this.#accept(fd, 'captured', (client) => {
      const wanted = way === 'tproxy' ? localAddressOf(client.fd) : originalDestinationOf(client.fd, family);
      return wanted && this.#captured.get(joinHostPort(wanted.address, wanted.port));
    });
  }

  /** Undefined when the service port was forgotten meanwhile. */
  #openFor(door: Exclude<RelayDoor, { kind: 'catcher' }>): Disposable | undefined {
    const state = this.#ports.get(door.key);
    if (!state) return undefined;
    const way = { context: this.#context, state, entrance: door.entrance };
    switch (door.kind) {
      case 'listener':
        return this.#accept(door.fd, door.key, () => way);
      case 'datagrams':
        return this.#receive(door.key, door.fd, way);
      case 'captured':
        this.#captured.set(door.destination, way);
        return { [Symbol.dispose]: () => void this.#captured.delete(door.destination) };
    }
  }

  #receive(key: string, fd: number, way: Way): Disposable {
    this.#datagrams ??= new DatagramRelay(this.#loop, this.#seat.data.sendErrors);
    const door = new DatagramDoor(this.#datagrams, fd, way);
    let doors = this.#datagramDoors.get(key);
    if (!doors) this.#datagramDoors.set(key, (doors = new Set()));
    doors.add(door);
    return {
      [Symbol.dispose]: () => {
        door[Symbol.dispose]();
        doors.delete(door);
        if (doors.size === 0) this.#datagramDoors.delete(key);
      },
    };
  }

  #accept(fd: number, where: string, wayOf: (client: StreamSocket) => Way | undefined): Acceptor {
    return new Acceptor(this.#loop, fd, {
      accepted: (client, peer) => {
        const way = wayOf(client);
        if (way) this.#welcome(client, peer(), way);
        else client.reset();
      },
      failed: (failure) => this.#seat.post({ kind: 'accept failed', where, errno: errnoName(failure) }),
    });
  }

  /** Takes a client in, or resets it when it may not come. */
  #welcome(client: StreamSocket, peer: SocketAddress, way: Way): void {
    const { address: clientAddress, port: clientPort } = peer;
    const { context, state: port, entrance } = way;
    const candidates = admit(way, entrance, clientAddress);
    if (!candidates) return client.reset();
    const deps = { thread: this.#thread, client: { context, port, entrance, clientAddress }, clientPort };
    new StreamSession(deps, client).start(candidates);
  }

  /** What the kernel has accepted is taken first. */
  #close(id: number): void {
    const door = this.#doors.get(id);
    if (door instanceof Acceptor) door.acceptAll();
    door?.[Symbol.dispose]();
    this.#doors.delete(id);
  }
}

new RelayWorker(ThreadSeat.take()).run();
