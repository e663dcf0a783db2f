import { ApiError } from '../../api/client/client.ts';
import { done, type Done, type Terminal, terminal } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import { objectKey } from '../../api/kinds/meta.ts';
import type { Namespace } from '../../api/kinds/node.ts';
import type { LoadBalancerIngress, Service } from '../../api/kinds/service.ts';
import { sameValue } from '../../base/same-value.ts';
import { canonicalAddress, type Family, familyOf } from '../../net/ip.ts';
import { serviceFamilies } from '../../../endpoints/slices/desired.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { selects } from '../label-selector.ts';
import {
  byPriority,
  firstFree,
  type LoadBalancerPool,
  poolContains,
  poolSpans,
} from './load-balancer-pool.ts';
import { maySharePorts } from './load-balancer-sharing.ts';

/** The class a service may name to get its address here; services without a class are served too. */
export const LOAD_BALANCER_CLASS = 'weft.dev/load-balancer';

const REQUEST_ANNOTATIONS = [
  'weft.dev/load-balancer-ips',
  'metallb.io/loadBalancerIPs',
  'metallb.universe.tf/loadBalancerIPs',
];
const POOL_ANNOTATIONS = [
  'weft.dev/address-pool',
  'metallb.io/address-pool',
  'metallb.universe.tf/address-pool',
];
const CLEANUP_FINALIZER = 'service.kubernetes.io/load-balancer-cleanup';

/** Where the pools come from: they may change while the loop runs. */
export interface PoolSource {
  readonly pools: readonly LoadBalancerPool[];
  subscribe?(listener: () => void): Disposable;
}

/** Gives every Service of type LoadBalancer an address from a pool and writes it to status. */
export function openServiceLoadBalancer(context: ControllerContext, source: PoolSource): AsyncDisposable {
  const { informers } = context;
  const services = informers.informer<Service>(resources.services);
  const namespaces = informers.informer<Namespace>(resources.namespaces);
  for (const pool of source.pools) {
    for (const text of poolSpans(pool).faults) {
      context.log.error('load balancer pool has a bad address range', { pool: pool.name, range: text });
    }
  }
  const taken = new Map<string, Set<string>>();
  const note = (service: Service, addresses: readonly string[]): void => {
    const key = objectKey(service);
    for (const users of taken.values()) users.delete(key);
    for (const address of addresses) {
      const users = taken.get(address) ?? new Set();
      taken.set(address, users.add(key));
    }
  };
  const allocator: Allocator = {
    pools: () => source.pools,
    namespaceLabels: (name) => namespaces.get(undefined, name)?.metadata.labels ?? {},
    mayUse: (service, address) => {
      for (const key of taken.get(address) ?? []) {
        const { namespace, name } = splitKey(key);
        const other = services.get(namespace, name);
        if (other && key !== objectKey(service) && !maySharePorts(other, service)) return false;
      }
      return true;
    },
  };
  const loop = openLoop(
    context,
    'service-load-balancer',
    async (key) => {
      const { namespace, name } = splitKey(key);
      const service = services.get(namespace, name);
      if (!service) return done;
      if (!isOurs(service) || service.metadata.deletionTimestamp) {
        note(service, []);
        return await release(context, service);
      }
      const result = allocate(service, allocator);
      note(service, result.addresses);
      return await write(context, service, result);
    },
    1, // two services must not be given one address
  );
  const retry = (): void => {
    for (const service of services.list()) if (isOurs(service)) loop.add(objectKey(service));
  };
  const subscriptions = [
    services.subscribe((event) => {
      const service = event.object;
      if (event.type === 'deleted') {
        note(service, []);
        retry();
        return;
      }
      // Addresses given before a restart are taken before any new one is given.
      if (event.type === 'added' && isOurs(service)) note(service, assigned(service));
      if (event.type === 'updated' && isOurs(event.old) && !isOurs(service)) retry();
      if (isOurs(service) || event.type === 'updated') loop.add(objectKey(service));
    }),
    ...(source.subscribe ? [source.subscribe(retry)] : []),
  ];
  return together(loop, ...subscriptions);
}

interface Allocator {
  readonly pools: () => readonly LoadBalancerPool[];
  readonly namespaceLabels: (name: string) => Record<string, string>;
  readonly mayUse: (service: Service, address: string) => boolean;
}

interface Allocation {
  readonly addresses: readonly string[];
  /** Why there is no address. */
  readonly failure?: string;
}

function isOurs(service: Service): boolean {
  const { type, loadBalancerClass } = service.spec;
  return type === 'LoadBalancer' && (!loadBalancerClass || loadBalancerClass === LOAD_BALANCER_CLASS);
}

function assigned(service: Service): string[] {
  const entries = service.status?.loadBalancer?.ingress ?? [];
  return entries.flatMap(({ ip }) => (ip ? [canonicalAddress(ip) ?? ip] : []));
}

/** Requested addresses, else the present ones while they are allowed, else the first free of each family. */
function allocate(service: Service, allocator: Allocator): Allocation {
  const pools = allocator
    .pools()
    .filter((pool) => isAllowed(pool, service, allocator))
    .sort(byPriority);
  const requested = requestedAddresses(service);
  if (requested.length > 0) return allocateRequested(service, requested, pools, allocator);
  const wantedPool = annotation(service, POOL_ANNOTATIONS);
  const usable = pools.filter((pool) => (wantedPool ? pool.name === wantedPool : pool.autoAssign !== false));
  if (usable.length === 0) {
    return {
      addresses: [],
      failure: wantedPool ? `no pool "${wantedPool}" for this service` : 'no address pool',
    };
  }
  const addresses: string[] = [];
  const present = assigned(service);
  for (const family of serviceFamilies(service)) {
    const kept = present.find(
      (address) =>
        familyOf(address) === family &&
        usable.some((pool) => poolContains(pool, address)) &&
        allocator.mayUse(service, address),
    );
    const address = kept ?? firstOf(usable, family, (candidate) => allocator.mayUse(service, candidate));
    if (address) addresses.push(address);
  }
  if (addresses.length > 0) return { addresses };
  return { addresses, failure: `pools ${usable.map(({ name }) => name).join(', ')} have no free address` };
}

function allocateRequested(
  service: Service,
  requested: readonly string[],
  pools: readonly LoadBalancerPool[],
  allocator: Allocator,
): Allocation {
  const addresses: string[] = [];
  for (const text of requested) {
    const address = canonicalAddress(text);
    if (!address) return { addresses: [], failure: `requested address ${text} is no IP address` };
    if (!pools.some((pool) => poolContains(pool, address))) {
      return { addresses: [], failure: `requested address ${text} is in no pool of this service` };
    }
    if (!allocator.mayUse(service, address)) {
      return { addresses: [], failure: `requested address ${text} is used by another service` };
    }
    addresses.push(address);
  }
  return { addresses };
}

function firstOf(
  pools: readonly LoadBalancerPool[],
  family: Family,
  isFree: (address: string) => boolean,
): string | undefined {
  for (const pool of pools) {
    const address = firstFree(pool, family, isFree);
    if (address) return address;
  }
  return undefined;
}

function isAllowed(pool: LoadBalancerPool, service: Service, allocator: Allocator): boolean {
  const namespace = service.metadata.namespace ?? '';
  const labels = allocator.namespaceLabels(namespace);
  const byName = pool.namespaces?.length ? pool.namespaces.includes(namespace) : undefined;
  const byLabels = pool.namespaceSelectors?.length
    ? pool.namespaceSelectors.some((selector) => selects(selector, labels))
    : undefined;
  if ((byName !== undefined || byLabels !== undefined) && !byName && !byLabels) return false;
  const { serviceSelectors = [] } = pool;
  return (
    serviceSelectors.length === 0 || serviceSelectors.some((one) => selects(one, service.metadata.labels))
  );
}

function requestedAddresses(service: Service): string[] {
  const text = annotation(service, REQUEST_ANNOTATIONS) ?? service.spec.loadBalancerIP ?? '';
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function annotation(service: Service, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = service.metadata.annotations?.[name];
    if (value) return value;
  }
  return undefined;
}

async function write(
  context: ControllerContext,
  service: Service,
  { addresses, failure }: Allocation,
): Promise<Done | Terminal> {
  if (failure) context.events.record(service, 'Warning', 'AllocationFailed', failure);
  await writeIngress(
    context,
    service,
    addresses.map((ip) => ({ ip, ipMode: 'VIP' as const })),
  );
  return failure ? terminal(failure) : done;
}

async function writeIngress(
  context: ControllerContext,
  service: Service,
  ingress: readonly LoadBalancerIngress[],
): Promise<void> {
  const present = (service.status?.loadBalancer?.ingress ?? []).map(({ ip, ipMode }) => ({ ip, ipMode }));
  if (sameValue(present, ingress)) return;
  const { name, namespace } = service.metadata;
  const status = { loadBalancer: { ingress: [...ingress] } };
  try {
    await context.client.patch(
      resources.services,
      name,
      namespace,
      'merge',
      { status },
      { subresource: 'status' },
    );
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return;
    throw error;
  }
  const text = ingress.map(({ ip }) => ip).join(', ');
  if (text) context.events.record(service, 'Normal', 'IPAllocated', `Assigned IP ${text}`);
}

/** A service that is ours no longer keeps neither address nor finalizer. Another class's status is left alone. */
async function release(context: ControllerContext, service: Service): Promise<Done> {
  const { type } = service.spec;
  if (type !== 'LoadBalancer' && assigned(service).length > 0) await writeIngress(context, service, []);
  const { finalizers = [], name, namespace, resourceVersion } = service.metadata;
  if (isOurs(service) && service.metadata.deletionTimestamp && finalizers.includes(CLEANUP_FINALIZER)) {
    const rest = finalizers.filter((one) => one !== CLEANUP_FINALIZER);
    const metadata = { finalizers: rest, ...(resourceVersion && { resourceVersion }) };
    await context.client.patch(resources.services, name, namespace, 'merge', { metadata });
  }
  return done;
}
