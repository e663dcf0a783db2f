import type { NodeSettings, ServicePortView } from '../../endpoints/node-view.ts';
import type { PortCounts } from '../backend.ts';
import type { Family } from '../../src/net/ip.ts';
import { Fault } from '../../src/base/fault.ts';
import { CapturedClients } from './captured-clients.ts';
import type { Door, DoorDeps, DoorOptions } from './door.ts';
import type { CaptureWay } from './kernel-table.ts';
import type { RelayContext } from './relay-context.ts';
import { openUdpDoor } from './udp-door.ts';
import { openTcpDoor } from './tcp-door.ts';

/**
 * Who takes clients in and passes on what they and endpoints say. It decides by what it was told to serve; what was told is
 * in force once `settled` resolves. Disposing cuts the connections that are left.
 */
export interface RelayEngine extends AsyncDisposable {
  /** Connections and UDP flows. */
  readonly activeCount: number;
  follow(node: NodeSettings): void;
  /** A port's newest view; before any of its doors is opened. */
  serve(view: ServicePortView): void;
  forget(key: string): void;
  /** Rejects with the bind's error, `code` is its errno. */
  openTcp(deps: DoorDeps, options: DoorOptions): Promise<Door>;
  openUdp(deps: DoorDeps, options: DoorOptions): Promise<Door>;
  /** A door without a listener of its own: the kernel sends its clients to the catcher. */
  openCaptured(deps: DoorDeps, options: DoorOptions): Door;
  /** Rejects with Fault CAPTURE_UNSUPPORTED where this engine cannot. */
  catchClients(family: Family, way: CaptureWay): Promise<Catcher>;
  settled(): Promise<void>;
  /** Called every sweep interval: ends what was idle too long. */
  sweep(): void;
  /** Numbers by service port key, of ports that the engine counts itself. */
  counts(): Promise<ReadonlyMap<string, PortCounts>>;
  /** Resolves when the last connection has ended. */
  empty(): Promise<void>;
}

/** The listener that the kernel brings the clients of captured destinations to. */
export interface Catcher extends Disposable {
  readonly port: number;
}

/** The engine on node:net and node:dgram: in this thread, by the state the backend holds. */
export function portableEngine(context: RelayContext): RelayEngine {
  const { tcp, udp, ejections } = context;
  const captured = new CapturedClients();
  return {
    get activeCount() {
      return tcp.size + udp.size;
    },
    follow() {},
    serve() {},
    forget() {},
    openTcp: openTcpDoor,
    openUdp: openUdpDoor,
    openCaptured: (deps, options) => captured.open(deps, options),
    catchClients: async (family, way) => {
      if (way === 'tproxy') throw tproxyUnsupported();
      return await captured.listen(family);
    },
    settled: () => Promise.resolve(),
    sweep() {
      tcp.sweep();
      udp.sweep();
      ejections.prune();
    },
    counts: () => Promise.resolve(new Map()),
    empty: () => tcp.empty(),
    async [Symbol.asyncDispose]() {
      udp.destroyAll();
      tcp.destroyAll();
      await tcp.empty();
    },
  };
}

/** Why there is no capture by TPROXY on node:net. */
export function tproxyUnsupported(): Fault {
  return new Fault(
    'CAPTURE_UNSUPPORTED',
    'capture by tproxy needs the native engine: node:net opens no transparent sockets; use redirect or bind',
  );
}
