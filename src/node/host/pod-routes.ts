import type { Snapshot, SnapshotSource } from '../../../endpoints/snapshot.ts';
import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { SyncLoop } from '../../base/sync-loop.ts';
import type { Exec } from '../../net/exec.ts';
import { familyOf } from '../../net/ip.ts';
import { type HostRoute, HostRoutes } from './host-routes.ts';

/** See HostRoutes; 151 belongs to the userspace proxy. */
const ROUTE_PROTOCOL = 152;
const PACE = { minIntervalMs: 50, retryIntervalMs: 5_000, maxIntervalMs: 0 };

export interface PodRoutesDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
}

export interface PodRoutesOptions {
  readonly nodeName: string;
  /** The range whose addresses are this host's own, where pods are its processes. */
  readonly own: string | undefined;
  /** The ranges of other nodes, too. */
  readonly toOthers: boolean;
}

/**
 * The pod network of hosts on one link: the pod range of each other node by way of that node, our own range here.
 * Pods of the process runtime then reach one another across nodes without an overlay. The routes outlive this process
 * as the pods do, and the next one takes them over; `removePodRoutes` ends them.
 */
export class PodRoutes implements AsyncDisposable {
  readonly #routes: HostRoutes;
  readonly #loop: SyncLoop;
  readonly #subscription: Disposable;

  constructor(deps: PodRoutesDeps, options: PodRoutesOptions) {
    this.#routes = new HostRoutes(deps, { protocol: ROUTE_PROTOCOL });
    const { snapshots } = deps;
    let seen = 0;
    this.#loop = new SyncLoop(deps, PACE, async () => {
      const fault = await this.#routes.set(podRoutes(snapshots.snapshot, options));
      if (fault !== undefined) throw new Fault('POD_ROUTES', `pod routes not written: ${fault}`);
    });
    this.#subscription = snapshots.subscribe((version) => {
      const { complete, nodes } = snapshots.changesSince(seen);
      seen = version;
      if (!complete || nodes.size > 0) this.#loop.mark();
    });
    this.#loop.mark();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription[Symbol.dispose]();
    await this.#loop[Symbol.asyncDispose]();
  }
}

/** Removes what any process left. Returns why it could not, in words. */
export async function removePodRoutes(exec: Exec): Promise<string | undefined> {
  return await new HostRoutes({ exec }, { protocol: ROUTE_PROTOCOL }).set([]);
}

/** Ranges of other nodes by their first address of that family; a node that is going away keeps its pods. */
export function podRoutes(
  { nodes }: Pick<Snapshot, 'nodes'>,
  options: PodRoutesOptions,
): readonly HostRoute[] {
  const here = options.own === undefined ? [] : [{ to: options.own, via: undefined }];
  if (!options.toOthers) return here;
  const others = [...nodes.values()].filter(({ name }) => name !== options.nodeName);
  const remote = others.flatMap(({ podCIDRs, addresses }) =>
    podCIDRs.flatMap((to): HostRoute[] => {
      const via = addresses.find((address) => familyOf(address) === familyOf(to.split('/')[0] ?? ''));
      return via === undefined ? [] : [{ to, via }];
    }),
  );
  return [...here, ...remote];
}
