import type { KeyedLoop } from '../keyed-loop.ts';
import { SERVICE_CIDR_GRACE_MS } from '../limits.ts';
import type { Core } from '../verbs/context.ts';
import type { AddressPool } from './address-pool.ts';
import type { Claims } from './claims.ts';
import { ClusterIps } from './cluster-ips.ts';
import { followServices } from './follow-services.ts';
import { IpAddresses } from './ip-addresses.ts';
import { NodePorts, type PortRange } from './node-ports.ts';
import { restoreAddress } from './repair.ts';
import { ServiceAllocation } from './service-allocation.ts';
import { ServiceCidrs } from './service-cidrs.ts';
import { ServiceRanges } from './service-ranges.ts';

interface AllocationOptions {
  readonly serviceCidrs: readonly string[];
  readonly nodePortRange: PortRange;
  /** Other servers may use the same store. */
  readonly sharedStore?: boolean;
}

/** What gives Services their addresses and ports. */
export interface ServiceParts {
  readonly allocation: ServiceAllocation;
  readonly clusterIps: ClusterIps;
  readonly addresses: IpAddresses;
  /** The default range of the primary family. */
  readonly primary: AddressPool | undefined;
}

/** Resolves when the default range is an object; what must be closed goes on the stack. */
export async function openServiceParts(
  core: Core,
  claims: Claims,
  options: AllocationOptions,
  stack: AsyncDisposableStack,
): Promise<ServiceParts> {
  const kind = core.registry.find('networking.k8s.io', 'v1', 'servicecidrs');
  if (!kind) throw new Error('ServiceCIDR is a built-in kind');
  const addresses = stack.use(new IpAddresses(core));
  const ranges = new ServiceRanges(core.objects.cacheOf(kind), options.serviceCidrs);
  const graceMs = options.sharedStore === true ? SERVICE_CIDR_GRACE_MS : 0;
  const defaultCidrs = ranges.defaults.map(({ range }) => range);
  stack.use(await ServiceCidrs.open(core, kind, addresses, { defaultCidrs, graceMs }));
  const { random } = core;
  const clusterIps = new ClusterIps({ ranges, objects: addresses, random });
  const nodePorts = new NodePorts({ claims, random }, options.nodePortRange);
  const allocation = new ServiceAllocation([clusterIps, nodePorts]);
  return { allocation, clusterIps, addresses, primary: ranges.defaults[0] };
}

/** From now on it knows all Services, and each of their addresses has its object. */
export function followAllocations(
  core: Core,
  parts: ServiceParts,
  loop: (name: string, process: (key: string) => Promise<void>) => KeyedLoop,
): Disposable | undefined {
  const kind = core.registry.find('', 'v1', 'services');
  if (!kind) return undefined;
  const { allocation, clusterIps, addresses } = parts;
  const restore = loop('cluster ips', (address) => restoreAddress(core, parts, address));
  const following = followServices(core.objects.cacheOf(kind), allocation, (service) => {
    for (const one of clusterIps.namesOf(service)) if (!addresses.isTaken(one)) restore.mark(one);
  });
  restore.follow(addresses.cache, ({ entry, type }) =>
    type === 'DELETED' && clusterIps.ownerOf(entry.name) !== undefined ? entry.name : undefined,
  );
  return following;
}
