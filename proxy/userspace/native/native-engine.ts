import type { NodeSettings, ServicePortView } from '../../../endpoints/node-view.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { Fault } from '../../../src/base/fault.ts';
import type { Logger } from '../../../src/base/log.ts';
import { type Family, joinHostPort } from '../../../src/net/ip.ts';
import { openDatagramSocket } from '../../../src/net/native/datagram-socket.ts';
import type { EngineMetrics } from '../../../src/net/engine-metrics.ts';
import { EpollLoop } from '../../../src/net/native/epoll-loop.ts';
import {
  openStreamListener,
  type StreamListener,
  type StreamListenerOptions,
} from '../../../src/net/native/stream-listener.ts';
import type { PortCounts } from '../../backend.ts';
import { LISTEN_BACKLOG, UDP_SOCKET_BYTES } from '../../limits.ts';
import type { Door, DoorDeps, DoorOptions } from '../door.ts';
import type { CaptureWay } from '../kernel-table.ts';
import type { Catcher, RelayEngine } from '../relay-engine.ts';
import type { RelayDoor } from './relay-messages.ts';
import { RelayThread, type RelayThreadOptions } from './relay-thread.ts';

interface NativeEngineDeps {
  readonly log: Logger;
  readonly metrics?: EngineMetrics | undefined;
}

/** The engine on epoll: a thread of its own takes clients in, dials and relays. Throws Fault FFI or NATIVE_UNSUPPORTED. */
export function nativeEngine(deps: NativeEngineDeps, options: RelayThreadOptions): RelayEngine {
  EpollLoop.prove();
  return new NativeEngine(deps, options);
}

class NativeEngine implements RelayEngine {
  readonly #thread: RelayThread;

  constructor(deps: NativeEngineDeps, options: RelayThreadOptions) {
    // a thread is stuck in real time, whatever clock its owner lives by
    this.#thread = new RelayThread({ ...deps, clock: systemClock }, options);
  }

  get activeCount(): number {
    return this.#thread.activeCount;
  }

  follow(node: NodeSettings): void {
    this.#thread.follow(node);
  }

  serve(view: ServicePortView): void {
    this.#thread.serve(view);
  }

  forget(key: string): void {
    this.#thread.forget(key);
  }

  openTcp({ state }: DoorDeps, { address, port, entrance }: DoorOptions): Promise<Door> {
    return new Promise((resolve) => {
      const listener = listenOn({ address, port, byRoute: true });
      const door = { kind: 'listener', fd: listener.fd, key: state.view.key, entrance } as const;
      resolve(asDoor(this.#handOver(door, listener)));
    });
  }

  openUdp({ state }: DoorDeps, { address, port, entrance }: DoorOptions): Promise<Door> {
    return new Promise((resolve) => {
      const options = { address, port, reusePort: false, bufferBytes: UDP_SOCKET_BYTES, byRoute: true };
      const socket = bound(() => openDatagramSocket(options));
      const door = { kind: 'datagrams', fd: socket.fd, key: state.view.key, entrance } as const;
      resolve(asDoor(this.#handOver(door, socket)));
    });
  }

  openCaptured({ state }: DoorDeps, { address, port, entrance }: DoorOptions): Door {
    const destination = joinHostPort(address, port);
    return asDoor(
      this.#thread.open({ kind: 'captured', destination, key: state.view.key, entrance }, undefined),
    );
  }

  catchClients(family: Family, way: CaptureWay): Promise<Catcher> {
    return new Promise((resolve) => {
      const address = family === 'IPv4' ? '0.0.0.0' : '::';
      const listener = listenOn({ address, port: 0, transparent: way === 'tproxy' });
      const door = this.#handOver({ kind: 'catcher', fd: listener.fd, family, way }, listener);
      resolve({ port: listener.port, [Symbol.dispose]: () => door[Symbol.dispose]() });
    });
  }

  #handOver(door: RelayDoor, socket: Disposable): Disposable {
    try {
      return this.#thread.open(door, socket);
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  async settled(): Promise<void> {
    await this.#thread.ask('settled');
  }

  sweep(): void {
    void this.#thread.ask('sweep');
  }

  async counts(): Promise<ReadonlyMap<string, PortCounts>> {
    return new Map((await this.#thread.ask('counts')).map((counts) => [counts.key, counts]));
  }

  async empty(): Promise<void> {
    await this.#thread.ask('empty');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }
}

function listenOn(
  where: Pick<StreamListenerOptions, 'address' | 'port' | 'byRoute' | 'transparent'>,
): StreamListener {
  return bound(() => openStreamListener({ ...where, backlog: LISTEN_BACKLOG, reusePort: false }));
}

/** Throws the bind's own fault. */
function bound<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw error instanceof Fault && error.cause ? error.cause : error;
  }
}

/** UDP flows to endpoints that are gone end when the thread is told the view. */
function asDoor(door: Disposable): Door {
  return { refresh() {}, [Symbol.dispose]: () => door[Symbol.dispose]() };
}
