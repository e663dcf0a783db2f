import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import {
  type EndpointSlice,
  HEADLESS_LABEL,
  MANAGED_BY_LABEL,
  SERVICE_NAME_LABEL,
} from '../../api/kinds/endpoint-slice.ts';
import { objectKey } from '../../api/kinds/meta.ts';
import { type Node, ZONE_LABEL } from '../../api/kinds/node.ts';
import type { Service } from '../../api/kinds/service.ts';
import { type DesiredSet, desiredSets, serviceFamilies } from '../../../endpoints/slices/desired.ts';
import { hintMode, withHints, type ZoneShares } from '../../../endpoints/slices/hints.ts';
import { planSlices, type SliceTemplate } from '../../../endpoints/slices/packing.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { WRITE_RECHECK_MS } from '../limits.ts';
import { OwnWrites } from '../own-writes.ts';
import { controllerReference } from '../owners.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import { parseQuantity } from '../../api/kinds/quantity.ts';
import { ServiceMembers } from './service-members.ts';
import { managedSlices, SLICE_SERVICE_INDEX, sliceServiceIndex, writeSlices } from './slice-writer.ts';
import { TriggerTimes } from './trigger-times.ts';

const MANAGER = 'endpointslice-controller.k8s.io';

/** Keeps the EndpointSlices of every service with a selector (facts: KEP-752, KEP-2433, KEP-4444). */
export function openEndpointSliceController(context: ControllerContext): AsyncDisposable {
  const { client, informers, clock, events } = context;
  const slices = informers.informer<EndpointSlice>(resources.endpointSlices, {
    [SLICE_SERVICE_INDEX]: sliceServiceIndex,
  });
  const writes = new OwnWrites<EndpointSlice>({ clock, informer: slices });
  const times = new TriggerTimes();
  const loop = openLoop(context, 'endpoint-slice', async (key, signal) => {
    const { namespace = '', name } = splitKey(key);
    const service = members.services.get(namespace, name);
    if (!service) {
      times.forget(key);
      writes.forget(key);
      return done;
    }
    if (!hasSelector(service) || service.metadata.deletionTimestamp) return done;
    if (!writes.visible(key)) return again(WRITE_RECHECK_MS);
    const existing = managedSlices(slices, MANAGER, key);
    const pods = members.of(key, namespace);
    const nodeOf = (node: string): Node | undefined => members.nodes.get(undefined, node);
    const external = service.spec.type === 'ExternalName';
    const hinted = hint(
      service,
      external ? [] : desiredSets({ service, pods, nodeOf }),
      members.nodes.list(),
    );
    const triggerTime = times.next(service, pods);
    const template = sliceTemplate(service, external, triggerTime);
    try {
      await writeSlices({ client, writes }, key, planSlices(existing, hinted, template), signal);
    } catch (error) {
      if (isNamespaceTerminating(error)) return done;
      if (!signal.aborted) events.record(service, 'Warning', 'FailedToUpdateEndpointSlices', String(error));
      throw error;
    }
    return done;
  });
  const members = new ServiceMembers(informers, (key) => loop.add(key));
  const subscription = slices.subscribe(({ object }) => {
    const service = object.metadata.labels?.[SERVICE_NAME_LABEL];
    if (service && object.metadata.labels?.[MANAGED_BY_LABEL] === MANAGER) {
      loop.add(`${object.metadata.namespace ?? ''}/${service}`);
    }
  });
  return together(loop, members, subscription);
}

function hasSelector(service: Service): boolean {
  return Object.keys(service.spec.selector ?? {}).length > 0;
}

function hint(service: Service, sets: readonly DesiredSet[], nodes: Iterable<Node>): readonly DesiredSet[] {
  const mode = hintMode(service);
  if (mode === 'none') return sets;
  const zones = mode === 'auto' ? zoneShares(nodes) : undefined;
  return sets.map((set) => ({ ...set, endpoints: withHints(set.endpoints, mode, zones).endpoints }));
}

/** Allocatable CPU by zone over the schedulable nodes; undefined when one of them lacks either. */
function zoneShares(nodes: Iterable<Node>): ZoneShares {
  const shares = new Map<string, number>();
  for (const node of nodes) {
    if (node.spec?.unschedulable) continue;
    const zone = node.metadata.labels?.[ZONE_LABEL];
    const cpu = parseQuantity(node.status?.allocatable?.cpu);
    if (!zone || !cpu) return undefined;
    shares.set(zone, (shares.get(zone) ?? 0) + Number(cpu.nano));
  }
  return shares;
}

function sliceTemplate(service: Service, external: boolean, triggerTime: string | undefined): SliceTemplate {
  const labels: Record<string, string> = { ...service.metadata.labels };
  delete labels[HEADLESS_LABEL];
  labels[SERVICE_NAME_LABEL] = service.metadata.name;
  labels[MANAGED_BY_LABEL] = MANAGER;
  if (service.spec.clusterIP === 'None') labels[HEADLESS_LABEL] = '';
  return {
    namespace: objectKey(service).split('/')[0] ?? '',
    namePrefix: service.metadata.name,
    labels,
    ownerReferences: [controllerReference(service)],
    families: external ? [] : serviceFamilies(service),
    ...(triggerTime && { triggerTime }),
  };
}
