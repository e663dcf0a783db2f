import { ApiError } from '../../api/client/client.ts';
import { again, done } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import { type Endpoints, HEADLESS_LABEL } from '../../api/kinds/endpoint-slice.ts';
import { objectKey } from '../../api/kinds/meta.ts';
import type { Service } from '../../api/kinds/service.ts';
import { sameValue } from '../../base/same-value.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { desiredSubsets, sameSubsets } from './endpoints-subsets.ts';
import { WRITE_RECHECK_MS } from '../limits.ts';
import { OwnWrites } from '../own-writes.ts';
import { isGone, isNamespaceTerminating } from '../pod-control.ts';
import { ServiceMembers } from './service-members.ts';
import { TriggerTimes } from './trigger-times.ts';

export const ENDPOINTS_MANAGED_BY = 'endpoints.kubernetes.io/managed-by';
const MANAGER = 'endpoint-controller';
const TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';

/** Keeps the old Endpoints object of every service with a selector (deprecated by KEP-4974, still read by many). */
export function openEndpointsController(context: ControllerContext): AsyncDisposable {
  const { client, informers, clock } = context;
  const endpoints = informers.informer<Endpoints>(resources.endpoints);
  const writes = new OwnWrites<Endpoints>({ clock, informer: endpoints });
  const times = new TriggerTimes();
  const remove = async (key: string, signal: AbortSignal): Promise<void> => {
    const { namespace, name } = splitKey(key);
    times.forget(key);
    const present = endpoints.get(namespace, name);
    if (!present || present.metadata.labels?.[ENDPOINTS_MANAGED_BY] !== MANAGER) return;
    await client.delete(resources.endpoints, name, namespace, { signal }).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
  };
  const loop = openLoop(context, 'endpoints', async (key, signal) => {
    const { namespace = '', name } = splitKey(key);
    const service = members.services.get(namespace, name);
    if (!service || service.spec.type === 'ExternalName') {
      await remove(key, signal);
      return done;
    }
    if (Object.keys(service.spec.selector ?? {}).length === 0 || service.metadata.deletionTimestamp)
      return done;
    if (!writes.visible(key)) return again(WRITE_RECHECK_MS);
    const pods = members.of(key, namespace);
    const present = endpoints.get(namespace, name);
    const wanted = desired(service, present, desiredSubsets(service, pods));
    const triggerTime = times.next(service, pods);
    if (present && isSame(present, wanted)) return done;
    const annotations = {
      ...wanted.metadata.annotations,
      ...(triggerTime && { [TRIGGER_TIME]: triggerTime }),
    };
    const object = { ...wanted, metadata: { ...wanted.metadata, annotations } };
    try {
      const reply = present
        ? await client.update(resources.endpoints, object, { signal })
        : await client.create(resources.endpoints, object, { signal });
      writes.wrote(key, reply);
    } catch (error) {
      if (isNamespaceTerminating(error)) return done;
      if (error instanceof ApiError && error.status === 404) return again(WRITE_RECHECK_MS);
      throw error;
    }
    return done;
  });
  const members = new ServiceMembers(informers, (key) => loop.add(key));
  const subscription = endpoints.subscribe((event) => {
    // Someone changed or deleted what this loop keeps.
    if (event.type !== 'added') loop.add(objectKey(event.object));
  });
  return together(loop, members, subscription);
}

function desired(
  service: Service,
  present: Endpoints | undefined,
  { subsets, truncated }: { subsets: Endpoints['subsets'] & object; truncated: boolean },
): Endpoints {
  const { namespace, name } = service.metadata;
  const labels: Record<string, string> = { ...service.metadata.labels, [ENDPOINTS_MANAGED_BY]: MANAGER };
  if (service.spec.clusterIP === 'None') labels[HEADLESS_LABEL] = '';
  else delete labels[HEADLESS_LABEL];
  const annotations: Record<string, string> = { ...present?.metadata.annotations };
  delete annotations[TRIGGER_TIME];
  if (truncated) annotations[OVER_CAPACITY] = 'truncated';
  else delete annotations[OVER_CAPACITY];
  const metadata = present?.metadata ?? { name, ...(namespace && { namespace }) };
  return { apiVersion: 'v1', kind: 'Endpoints', metadata: { ...metadata, labels, annotations }, subsets };
}

function isSame(present: Endpoints, wanted: Endpoints): boolean {
  const { [TRIGGER_TIME]: _, ...annotations } = present.metadata.annotations ?? {};
  return (
    sameValue(sameSubsets(present), wanted.subsets) &&
    sameValue(present.metadata.labels ?? {}, wanted.metadata.labels) &&
    sameValue(annotations, wanted.metadata.annotations)
  );
}
