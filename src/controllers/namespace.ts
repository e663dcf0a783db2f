import { type DiscoveredResource, discoverResources } from '../api/client/discovery.ts';
import { again, done } from '../api/client/reconcile.ts';
import { resources } from '../api/client/resources.ts';
import type { Condition, KubeObject } from '../api/kinds/meta.ts';
import type { Namespace } from '../api/kinds/node.ts';
import { messageOf } from '../base/fault.ts';
import { sameValue } from '../base/same-value.ts';
import { withCondition } from './conditions.ts';
import { type ControllerContext, openLoop, together } from './context.ts';
import { NAMESPACE_RECHECK_MS } from './limits.ts';

const FINALIZER = 'kubernetes';

/** What a pass over the namespace's content found. */
interface Content {
  /** `pods` -> how many are left. */
  readonly remaining: ReadonlyMap<string, number>;
  /** Finalizer -> how many objects wait for it. */
  readonly finalizers: ReadonlyMap<string, number>;
  readonly failures: readonly string[];
}

/** Empties namespaces that were deleted, then lets them go. */
export function openNamespaceController(context: ControllerContext): AsyncDisposable {
  const namespaces = context.informers.informer<Namespace>(resources.namespaces);
  const loop = openLoop(context, 'namespace', async (name, signal) => {
    const namespace = namespaces.get(undefined, name);
    if (!namespace?.metadata.deletionTimestamp) return done;
    if (!namespace.spec?.finalizers?.includes(FINALIZER)) return done;
    const content = await empty(context, name, signal);
    await writeConditions(context, namespace, content);
    if (content.remaining.size > 0 || content.failures.length > 0) return again(NAMESPACE_RECHECK_MS);
    await finalize(context, name);
    return done;
  });
  return together(
    loop,
    namespaces.subscribe(({ type, object }) => {
      if (type !== 'deleted' && object.metadata.deletionTimestamp) loop.add(object.metadata.name);
    }),
  );
}

/** Deletes everything in the namespace; pods are given their grace. */
async function empty(context: ControllerContext, namespace: string, signal: AbortSignal): Promise<Content> {
  const remaining = new Map<string, number>();
  const finalizers = new Map<string, number>();
  const failures: string[] = [];
  for (const resource of await contentKinds(context, signal)) {
    try {
      const query = { namespace };
      if ((await context.client.list(resource, { ...query, limit: 1 }, signal)).items.length === 0) continue;
      await deleteAll(context, resource, namespace, signal);
      const left = await context.client.list<KubeObject>(resource, query, signal);
      if (left.items.length > 0) remaining.set(resource.plural, left.items.length);
      for (const finalizer of left.items.flatMap((object) => object.metadata.finalizers ?? [])) {
        finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1);
      }
    } catch (error) {
      if (signal.aborted) throw error;
      failures.push(`${resource.plural}: ${messageOf(error)}`);
    }
  }
  return { remaining, finalizers, failures };
}

async function deleteAll(
  { client }: ControllerContext,
  resource: DiscoveredResource,
  namespace: string,
  signal: AbortSignal,
): Promise<void> {
  if (resource.verbs.includes('deletecollection')) {
    return await client.deleteCollection(resource, { namespace }, signal);
  }
  for (const object of (await client.list<KubeObject>(resource, { namespace }, signal)).items) {
    await client.delete(resource, object.metadata.name, namespace, { signal });
  }
}

async function contentKinds(context: ControllerContext, signal: AbortSignal): Promise<DiscoveredResource[]> {
  const all = await discoverResources(context.client, signal);
  return all.filter(
    ({ namespaced, verbs }) => namespaced && verbs.includes('list') && verbs.includes('delete'),
  );
}

async function writeConditions(
  { client, clock }: ControllerContext,
  namespace: Namespace,
  content: Content,
): Promise<void> {
  const nowMs = clock.nowMs();
  let conditions = namespace.status?.conditions ?? [];
  for (const condition of conditionsOf(content)) conditions = withCondition(conditions, condition, nowMs);
  if (sameValue(conditions, namespace.status?.conditions ?? [])) return;
  const status = { ...namespace.status, conditions };
  const { name } = namespace.metadata;
  await client.patch(resources.namespaces, name, undefined, 'merge', { status }, { subresource: 'status' });
}

function conditionsOf({ remaining, finalizers, failures }: Content): Condition[] {
  const left = [...remaining].map(([plural, count]) => `${plural} has ${count} resource instances`);
  const waiting = [...finalizers].map(([name, count]) => `${name} in ${count} resource instances`);
  return [
    failures.length > 0
      ? failed('NamespaceDeletionContentFailure', 'ContentDeletionFailed', failures.join('; '))
      : fine(
          'NamespaceDeletionContentFailure',
          'ContentDeleted',
          'All content successfully deleted, may be waiting on finalization',
        ),
    left.length > 0
      ? failed(
          'NamespaceContentRemaining',
          'SomeResourcesRemain',
          `Some resources are remaining: ${left.join(', ')}`,
        )
      : fine('NamespaceContentRemaining', 'ContentRemoved', 'All content successfully removed'),
    waiting.length > 0
      ? failed(
          'NamespaceFinalizersRemaining',
          'SomeFinalizersRemain',
          `Some content in the namespace has finalizers remaining: ${waiting.join(', ')}`,
        )
      : fine(
          'NamespaceFinalizersRemaining',
          'ContentHasNoFinalizers',
          'All content-preserving finalizers finished',
        ),
  ];
}

function failed(type: string, reason: string, message: string): Condition {
  return { type, status: 'True', reason, message };
}

function fine(type: string, reason: string, message: string): Condition {
  return { type, status: 'False', reason, message };
}

async function finalize({ client }: ControllerContext, name: string): Promise<void> {
  const fresh = await client.get<Namespace>(resources.namespaces, name);
  const finalizers = (fresh.spec?.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
  const object = { ...fresh, spec: { ...fresh.spec, finalizers } };
  await client.update(resources.namespaces, object, { subresource: 'finalize' });
}
