import { type ApiClient, ApiError } from '../api/client/client.ts';
import type { EventSink } from '../api/client/event-recorder.ts';
import { resources } from '../api/client/resources.ts';
import type { PodTemplate } from '../api/kinds/apps.ts';
import type { KubeObject, OwnerReference } from '../api/kinds/meta.ts';
import type { Pod } from '../api/kinds/pod.ts';
import { messageOf } from '../base/fault.ts';
import { SLOW_START_FIRST_BATCH } from './limits.ts';
import { controllerReference } from './owners.ts';

/** A pod from a template, owned and controlled by `owner`. With a name, or with generateName from the owner's. */
export function podFromTemplate(owner: KubeObject, template: PodTemplate, name?: string): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: name ?? '',
      ...(name === undefined && { generateName: `${owner.metadata.name}-` }),
      ...(owner.metadata.namespace && { namespace: owner.metadata.namespace }),
      ...(labels && { labels: { ...labels } }),
      ...(annotations && { annotations: { ...annotations } }),
      ...(finalizers && { finalizers: [...finalizers] }),
      ownerReferences: [controllerReference(owner)],
    },
    spec: template.spec,
  };
}

interface PodControlDeps {
  readonly client: ApiClient;
  readonly events: EventSink;
}

/** Creates the pod and says so in an Event of its owner; a refusal is one too. */
export async function createPod(deps: PodControlDeps, owner: KubeObject, pod: Pod): Promise<Pod> {
  try {
    const made = await deps.client.create<Pod>(resources.pods, pod);
    const { name } = made.metadata;
    const message = statefulMessage('create', owner, name) ?? `Created pod: ${name}`;
    deps.events.record(owner, 'Normal', 'SuccessfulCreate', message);
    return made;
  } catch (error) {
    if (!isNamespaceTerminating(error)) {
      deps.events.record(owner, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
    }
    throw error;
  }
}

/** Deletes the pod (with its own grace); one that is gone already is fine. */
export async function deletePod(deps: PodControlDeps, owner: KubeObject, pod: Pod): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  try {
    await deps.client.delete(resources.pods, name, namespace, uid ? { preconditions: { uid } } : {});
    const message = statefulMessage('delete', owner, name) ?? `Deleted pod: ${name}`;
    deps.events.record(owner, 'Normal', 'SuccessfulDelete', message);
  } catch (error) {
    if (isGone(error)) return;
    deps.events.record(owner, 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
    throw error;
  }
}

/** StatefulSets tell it in other words than the rest. */
function statefulMessage(verb: string, { kind, metadata }: KubeObject, pod: string): string | undefined {
  if (kind !== 'StatefulSet') return undefined;
  return `${verb} Pod ${pod} in StatefulSet ${metadata.name} successful`;
}

/** Not found, or another object of that name by now. */
export function isGone(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 409);
}

/** Creation in a namespace that is going away cannot succeed and is nobody's fault. */
export function isNamespaceTerminating(error: unknown): boolean {
  if (!(error instanceof ApiError) || error.status !== 403) return false;
  const details = error.body?.details as { causes?: { reason?: string }[] } | undefined;
  return details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating') ?? false;
}

/**
 * Runs `create` count times in batches of 1, 2, 4 ... so that a refusal that meets all of them (a quota) costs
 * few calls. Stops after the first batch with a failure. Returns how many succeeded and the first failure.
 */
export async function slowStart(
  count: number,
  create: (index: number) => Promise<void>,
): Promise<{ succeeded: number; failure: unknown }> {
  let succeeded = 0;
  let batch = SLOW_START_FIRST_BATCH;
  for (let at = 0; at < count; at += batch, batch *= 2) {
    const size = Math.min(batch, count - at);
    const results = await Promise.allSettled(Array.from({ length: size }, (_, i) => create(at + i)));
    const failed = results.find((result) => result.status === 'rejected');
    succeeded += results.filter((result) => result.status === 'fulfilled').length;
    if (failed) return { succeeded, failure: failed.reason as unknown };
  }
  return { succeeded, failure: undefined };
}

/** Writes the object's owner references, guarded by its revision. */
async function setOwners(client: ApiClient, pod: Pod, ownerReferences: OwnerReference[]): Promise<Pod> {
  const { name, namespace, resourceVersion } = pod.metadata;
  const metadata = { ownerReferences, ...(resourceVersion && { resourceVersion }) };
  return await client.patch<Pod>(resources.pods, name, namespace, 'merge', { metadata });
}

export function adoptPod(client: ApiClient, owner: KubeObject, pod: Pod): Promise<Pod> {
  return setOwners(client, pod, [...(pod.metadata.ownerReferences ?? []), controllerReference(owner)]);
}

export function releasePod(client: ApiClient, owner: KubeObject, pod: Pod): Promise<Pod> {
  const rest = (pod.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
  return setOwners(client, pod, rest);
}
