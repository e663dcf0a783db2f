import type { NodeSettings, ServicePortView } from '../../endpoints/node-view.ts';
import type { Entrance } from '../packet/entrances.ts';
import { MODE_TRAITS } from '../mode-traits.ts';
import { nodePortAddresses } from '../packet/node-ports.ts';
import type { Capture } from './capture.ts';
import type { Door, DoorDeps, DoorOptions } from './door.ts';
import type { RelayEngine } from './relay-engine.ts';

type OpenDoor = (deps: DoorDeps, options: DoorOptions) => Promise<Door>;

/** Which doors are opened, and how. */
export interface DoorPlan {
  readonly nodePortAddresses: readonly string[];
  wants(view: ServicePortView, entrance: Entrance): boolean;
  readonly openTcp: OpenDoor;
  readonly openUdp: OpenDoor;
}

/** Listens on every address itself: for addresses that are loopback or on the host. */
export function bindPlan(node: NodeSettings, engine: RelayEngine): DoorPlan {
  return {
    nodePortAddresses: nodePortAddresses(node, MODE_TRAITS.userspace),
    wants: hasReason,
    openTcp: (deps, options) => engine.openTcp(deps, options),
    openUdp: (deps, options) => engine.openUdp(deps, options),
  };
}

/**
 * Service addresses are captured by the kernel for one listener; node ports are listened on all the same. What has no
 * endpoint is captured too, so that clients are refused and not sent elsewhere.
 */
export function capturePlan(node: NodeSettings, engine: RelayEngine, capture: Capture): DoorPlan {
  return {
    ...bindPlan(node, engine),
    wants: (view, entrance) => view.protocol === 'TCP' || hasReason(view, entrance),
    openTcp: (deps, options) =>
      options.entrance === 'node-port' ? engine.openTcp(deps, options) : capture.open(deps, options),
  };
}

/** Before the node's settings are known. */
export const CLOSED_PLAN: DoorPlan = {
  nodePortAddresses: [],
  wants: () => false,
  openTcp: nowhere,
  openUdp: nowhere,
};

function nowhere(): Promise<Door> {
  return Promise.reject(new Error('no door is wanted yet'));
}

/**
 * Without any endpoint a closed door lets the kernel refuse, which is what clients expect. Node ports stay open
 * all the same, so that no other process takes the number.
 */
function hasReason(view: ServicePortView, entrance: Entrance): boolean {
  if (entrance.kind === 'node-port') return true;
  return view.clusterEndpoints.length > 0 || view.localEndpoints.length > 0;
}
