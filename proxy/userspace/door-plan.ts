import type { NodeSettings, ServicePortView } from '../../endpoints/node-view.ts';
import type { Entrance } from '../entrances.ts';
import { MODE_TRAITS } from '../mode-traits.ts';
import { nodePortAddresses } from '../node-ports.ts';
import type { Capture } from './capture.ts';
import type { Door, DoorDeps, DoorOptions } from './door.ts';
import { openTcpDoor } from './tcp-door.ts';
import type { TcpEngine } from './tcp-engine.ts';
import { openUdpDoor } from './udp-door.ts';

type OpenDoor = (deps: DoorDeps, options: DoorOptions) => Promise<Door>;

/** Which doors are opened, and how. */
export interface DoorPlan {
  readonly nodePortAddresses: readonly string[];
  wants(view: ServicePortView, entrance: Entrance): boolean;
  readonly openTcp: OpenDoor;
  readonly openUdp: OpenDoor;
}

/** Listens on every address itself: for addresses that are loopback or on the host. */
export function bindPlan(node: NodeSettings, tcp: TcpEngine): DoorPlan {
  return {
    nodePortAddresses: nodePortAddresses(node, MODE_TRAITS.userspace),
    wants: hasReason,
    openTcp: (deps, options) => tcp.openDoor(deps, options),
    openUdp: openUdpDoor,
  };
}

/**
 * Service addresses are captured by the kernel for one listener; node ports are listened on all the same. What has no
 * endpoint is captured too, so that clients are refused and not sent elsewhere.
 */
export function capturePlan(node: NodeSettings, tcp: TcpEngine, capture: Capture): DoorPlan {
  return {
    ...bindPlan(node, tcp),
    wants: (view, entrance) => view.protocol === 'TCP' || hasReason(view, entrance),
    openTcp: (deps, options) =>
      options.entrance === 'node-port' ? tcp.openDoor(deps, options) : capture.open(deps, options),
  };
}

/** Before the node's settings are known. */
export const CLOSED_PLAN: DoorPlan = {
  nodePortAddresses: [],
  wants: () => false,
  openTcp: openTcpDoor,
  openUdp: openUdpDoor,
};

/**
 * Without any endpoint a closed door lets the kernel refuse, which is what clients expect. Node ports stay open
 * all the same, so that no other process takes the number.
 */
function hasReason(view: ServicePortView, entrance: Entrance): boolean {
  if (entrance.kind === 'node-port') return true;
  return view.clusterEndpoints.length > 0 || view.localEndpoints.length > 0;
}
