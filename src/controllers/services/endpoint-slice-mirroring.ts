import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import {
  type EndpointAddress,
  type Endpoints,
  type EndpointSlice,
  type EndpointSubset,
  MANAGED_BY_LABEL,
  SERVICE_NAME_LABEL,
  type SliceEndpoint,
} from '../../api/kinds/endpoint-slice.ts';
import { objectKey } from '../../api/kinds/meta.ts';
import type { Service } from '../../api/kinds/service.ts';
import { type Family, familyOf } from '../../net/ip.ts';
import type { DesiredSet } from '../../../endpoints/slices/desired.ts';
import { planSlices } from '../../../endpoints/slices/packing.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { MAX_MIRRORED_ADDRESSES, WRITE_RECHECK_MS } from '../limits.ts';
import { OwnWrites } from '../own-writes.ts';
import { controllerReference } from '../owners.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import { managedSlices, SLICE_SERVICE_INDEX, sliceServiceIndex, writeSlices } from './slice-writer.ts';

const MANAGER = 'endpointslicemirroring-controller.k8s.io';
const SKIP_MIRROR = 'endpointslice.kubernetes.io/skip-mirror';
const LEADER = 'control-plane.alpha.kubernetes.io/leader';
const NOT_COPIED = new Set([
  'endpoints.kubernetes.io/last-change-trigger-time',
  'kubectl.kubernetes.io/last-applied-configuration',
]);
const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

/** Copies hand-made Endpoints of services without a selector into EndpointSlices. */
export function openEndpointSliceMirroringController(context: ControllerContext): AsyncDisposable {
  const { client, informers, clock, events } = context;
  const services = informers.informer<Service>(resources.services);
  const endpoints = informers.informer<Endpoints>(resources.endpoints);
  const slices = informers.informer<EndpointSlice>(resources.endpointSlices, {
    [SLICE_SERVICE_INDEX]: sliceServiceIndex,
  });
  const writes = new OwnWrites<EndpointSlice>({ clock, informer: slices });
  const loop = openLoop(context, 'endpoint-slice-mirroring', async (key, signal) => {
    const { namespace = '', name } = splitKey(key);
    if (!writes.visible(key)) return again(WRITE_RECHECK_MS);
    const service = services.get(namespace, name);
    const source = endpoints.get(namespace, name);
    const existing = managedSlices(slices, MANAGER, key);
    const mirrored = service && source && !hasSelector(service) && wantsMirror(source) ? source : undefined;
    if (!mirrored && existing.length === 0) return done;
    const { sets, faults } = mirrored ? mirrorSets(mirrored) : { sets: [], faults: [] };
    for (const [reason, message] of faults) {
      if (mirrored) events.record(mirrored, 'Warning', reason, message);
    }
    const plan = planSlices(existing, sets, {
      namespace,
      namePrefix: name,
      labels: { ...mirrored?.metadata.labels, [SERVICE_NAME_LABEL]: name, [MANAGED_BY_LABEL]: MANAGER },
      annotations: copiedAnnotations(mirrored),
      ownerReferences: mirrored ? [controllerReference(mirrored)] : [],
      families: FAMILIES.filter((family) => sets.some((set) => set.addressType === family)),
    });
    try {
      await writeSlices({ client, writes }, key, plan, signal);
    } catch (error) {
      if (isNamespaceTerminating(error)) return done;
      throw error;
    }
    return done;
  });
  return together(
    loop,
    services.subscribe(({ object }) => loop.add(objectKey(object))),
    endpoints.subscribe(({ object }) => loop.add(objectKey(object))),
    slices.subscribe(({ object }) => {
      const name = object.metadata.labels?.[SERVICE_NAME_LABEL];
      if (name && object.metadata.labels?.[MANAGED_BY_LABEL] === MANAGER) {
        loop.add(`${object.metadata.namespace ?? ''}/${name}`);
      }
    }),
  );
}

function hasSelector(service: Service): boolean {
  return Object.keys(service.spec.selector ?? {}).length > 0;
}

function wantsMirror(endpoints: Endpoints): boolean {
  const { labels = {}, annotations = {}, deletionTimestamp } = endpoints.metadata;
  return labels[SKIP_MIRROR] !== 'true' && annotations[LEADER] === undefined && !deletionTimestamp;
}

function copiedAnnotations(endpoints: Endpoints | undefined): Record<string, string> {
  const all = Object.entries(endpoints?.metadata.annotations ?? {});
  return Object.fromEntries(all.filter(([name]) => !NOT_COPIED.has(name)));
}

/** The sets to mirror, and [reason, message] of what was left out. Pure. */
export function mirrorSets(endpoints: Endpoints): { sets: DesiredSet[]; faults: [string, string][] } {
  const sets: DesiredSet[] = [];
  const faults: [string, string][] = [];
  for (const subset of endpoints.subsets ?? []) {
    const addresses = [
      ...(subset.addresses ?? []).map((address) => ({ address, ready: true })),
      ...(subset.notReadyAddresses ?? []).map((address) => ({ address, ready: false })),
    ];
    if (addresses.length > MAX_MIRRORED_ADDRESSES) {
      const left = addresses.length - MAX_MIRRORED_ADDRESSES;
      faults.push(['TooManyAddressesToMirror', `${left} addresses of a subset are not mirrored`]);
    }
    const kept = addresses.slice(0, MAX_MIRRORED_ADDRESSES);
    for (const { address } of kept) {
      if (!familyOf(address.ip)) faults.push(['InvalidIPAddress', `${address.ip} is no IP address`]);
    }
    for (const family of FAMILIES) {
      const mine = kept.filter(({ address }) => familyOf(address.ip) === family);
      if (mine.length === 0) continue;
      const list = mine.map(({ address, ready }) => sliceEndpoint(address, ready));
      addTo(sets, { addressType: family, ports: ports(subset), endpoints: list });
    }
  }
  return { sets, faults };
}

/** Subsets with one port map share slices. */
function addTo(sets: DesiredSet[], set: DesiredSet): void {
  const same = sets.findIndex(
    (other) =>
      other.addressType === set.addressType && JSON.stringify(other.ports) === JSON.stringify(set.ports),
  );
  const present = sets[same];
  if (present) sets[same] = { ...present, endpoints: [...present.endpoints, ...set.endpoints] };
  else sets.push(set);
}

function ports(subset: EndpointSubset): DesiredSet['ports'] {
  return (subset.ports ?? []).map((port) => ({
    name: port.name ?? '',
    port: port.port,
    protocol: port.protocol ?? 'TCP',
    ...(port.appProtocol && { appProtocol: port.appProtocol }),
  }));
}

function sliceEndpoint(address: EndpointAddress, ready: boolean): SliceEndpoint {
  return {
    addresses: [address.ip],
    conditions: { ready },
    ...(address.hostname && { hostname: address.hostname }),
    ...(address.nodeName && { nodeName: address.nodeName }),
    ...(address.targetRef && { targetRef: address.targetRef }),
  };
}
