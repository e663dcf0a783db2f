import { type Clock, sleep } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { KubeObject } from '../kinds/meta.ts';
import { withAppliedConfiguration } from './applied-configuration.ts';
import { type ApiClient, ApiError, type Resource } from './client.ts';
import { MAX_APPLIES_AT_ONCE } from './limits.ts';
import type { ManifestError, ManifestObject } from './manifest-parse.ts';
import { orUndefined } from './or-undefined.ts';
import { apiVersionOf } from './paths.ts';
import { resourceOfKind } from './resources.ts';

/** Kinds that others need, first ones first; what is not here comes after `Pod` kinds and before the last. */
const ORDER: readonly string[] = [
  'Namespace',
  'CustomResourceDefinition',
  'PriorityClass',
  'StorageClass',
  'RuntimeClass',
  'IngressClass',
  'GatewayClass',
  'NetworkPolicy',
  'ResourceQuota',
  'LimitRange',
  'PodDisruptionBudget',
  'ServiceAccount',
  'Secret',
  'ConfigMap',
  'PersistentVolume',
  'PersistentVolumeClaim',
  'ClusterRole',
  'ClusterRoleBinding',
  'Role',
  'RoleBinding',
  'Service',
  'Endpoints',
  'EndpointSlice',
  'DaemonSet',
  'Pod',
  'ReplicationController',
  'ReplicaSet',
  'Deployment',
  'HorizontalPodAutoscaler',
  'StatefulSet',
  'Job',
  'CronJob',
];
const LAST: readonly string[] = [
  'Ingress',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
];
/** A kind whose definition was just applied becomes served within this. */
const NEW_KIND_WAIT_MS = 10_000;
const NEW_KIND_POLL_MS = 200;

export type ApplyOutcome = 'created' | 'configured' | 'unchanged' | 'failed';

export interface Applied {
  readonly source: ManifestObject;
  readonly outcome: ApplyOutcome;
  /** As stored; undefined when it failed. */
  readonly object: KubeObject | undefined;
  readonly error: ManifestError | undefined;
}

/** The objects in order of dependence; those of one kind stay as they were written. */
export function applyOrder(objects: readonly ManifestObject[]): ManifestObject[] {
  return objects
    .map((source, i) => ({ source, i, rank: rankOf(source.object.kind) }))
    .sort((a, b) => a.rank - b.rank || a.i - b.i)
    .map(({ source }) => source);
}

function rankOf(kind: string): number {
  const at = ORDER.indexOf(kind);
  if (at >= 0) return at;
  const last = LAST.indexOf(kind);
  return last >= 0 ? ORDER.length + 1 + last : ORDER.length;
}

export interface ApplyOptions {
  /** Owner of the applied fields (server-side apply). */
  readonly fieldManager: string;
  /** Take over fields other managers hold. */
  readonly force?: boolean;
  /** For namespaced objects that name none. */
  readonly namespace?: string;
  readonly dryRun?: boolean;
  readonly onApplied?: (applied: Applied) => void;
}

export interface ApplyDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
}

/** What one run learns of kinds that are not built in. */
interface ApplyRun {
  readonly kinds: Map<string, Resource>;
  /** The set brings definitions: an unknown kind may be on its way. */
  readonly hasDefinitions: boolean;
}

/**
 * Applies objects server-side in the given order, neighbours of one kind at once. Told of in that order; a failure is an
 * entry, and the rest goes on.
 */
export async function applyObjects(
  deps: ApplyDeps,
  objects: readonly ManifestObject[],
  options: ApplyOptions,
  signal: AbortSignal,
): Promise<Applied[]> {
  const run: ApplyRun = {
    kinds: new Map(),
    hasDefinitions: objects.some(({ object }) => object.kind === 'CustomResourceDefinition'),
  };
  const results: Applied[] = [];
  for (const batch of batches(objects, options.namespace)) {
    signal.throwIfAborted();
    const applied = await Promise.all(batch.map((source) => applyOne(deps, run, source, options, signal)));
    results.push(...applied);
    for (const each of applied) options.onApplied?.(each);
  }
  return results;
}

/** Neighbours of one kind; an object that is named again waits for the one before. */
function batches(objects: readonly ManifestObject[], namespace = ''): ManifestObject[][] {
  const found: ManifestObject[][] = [];
  let kind = '';
  const named = new Set<string>();
  for (const source of objects) {
    const { apiVersion, kind: ofObject, metadata } = source.object;
    const name = `${metadata.namespace ?? namespace}/${metadata.name}`;
    const last = found.at(-1);
    const joins = kind === `${apiVersion} ${ofObject}` && !named.has(name);
    if (last && joins && last.length < MAX_APPLIES_AT_ONCE) last.push(source);
    else {
      found.push([source]);
      named.clear();
    }
    kind = `${apiVersion} ${ofObject}`;
    named.add(name);
  }
  return found;
}

async function applyOne(
  deps: ApplyDeps,
  run: ApplyRun,
  source: ManifestObject,
  options: ApplyOptions,
  signal: AbortSignal,
): Promise<Applied> {
  const failed = (field: string, message: string): Applied => ({
    source,
    outcome: 'failed',
    object: undefined,
    error: { file: source.file, line: source.lineOf(field), field, message },
  });
  const { apiVersion, kind, metadata } = source.object;
  try {
    const resource = await resourceFor(deps, run, source.object, signal);
    if (!resource) return failed('kind', `no matches for kind "${kind}" in version "${apiVersion}"`);
    const namespace = resource.namespaced
      ? (metadata.namespace ?? options.namespace ?? 'default')
      : undefined;
    const object = { ...source.object, metadata: { ...metadata, ...(namespace && { namespace }) } };
    const before = metadata.name
      ? await orUndefined(deps.client.get<KubeObject>(resource, metadata.name, namespace, signal))
      : undefined;
    const noted = withAppliedConfiguration(object);
    const after = metadata.name
      ? await deps.client.patch<KubeObject>(resource, metadata.name, namespace, 'apply', noted, {
          fieldManager: options.fieldManager,
          force: options.force ?? false,
          dryRun: options.dryRun ?? false,
          signal,
        })
      : await deps.client.create<KubeObject>(resource, object, { signal });
    return { source, outcome: outcomeOf(before, after), object: after, error: undefined };
  } catch (error) {
    if (signal.aborted) throw error;
    return failed(fieldOf(error), messageOf(error));
  }
}

function outcomeOf(before: KubeObject | undefined, after: KubeObject): ApplyOutcome {
  if (!before) return 'created';
  return before.metadata.resourceVersion === after.metadata.resourceVersion ? 'unchanged' : 'configured';
}

/** Built-in kinds are known; others are asked for, and waited for when their definition is new. */
async function resourceFor(
  deps: ApplyDeps,
  run: ApplyRun,
  object: KubeObject,
  signal: AbortSignal,
): Promise<Resource | undefined> {
  const { kinds } = run;
  const { apiVersion, kind } = object;
  const builtIn = resourceOfKind(apiVersion, kind);
  if (builtIn) return builtIn;
  const key = `${apiVersion}/${kind}`;
  const endMs = deps.clock.monotonicMs() + NEW_KIND_WAIT_MS;
  for (;;) {
    const known = kinds.get(key);
    if (known) return known;
    const [group = '', version = ''] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    for (const found of await discoverVersion(deps.client, group, version, signal)) {
      kinds.set(`${apiVersionOf(found)}/${found.kind}`, found);
    }
    if (kinds.has(key)) continue;
    if (!run.hasDefinitions || deps.clock.monotonicMs() >= endMs) return undefined;
    await sleep(deps.clock, NEW_KIND_POLL_MS, signal);
  }
}

async function discoverVersion(
  client: ApiClient,
  group: string,
  version: string,
  signal: AbortSignal,
): Promise<Resource[]> {
  const path = group ? `/apis/${group}/${version}` : `/api/${version}`;
  try {
    const list = await client.read<{ resources?: { name: string; kind: string; namespaced: boolean }[] }>(
      path,
      signal,
    );
    return (list.resources ?? [])
      .filter(({ name }) => !name.includes('/'))
      .map(({ name, kind, namespaced }) => ({ group, version, plural: name, kind, namespaced }));
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return [];
    throw error;
  }
}

/** The first field a 422 names. */
function fieldOf(error: unknown): string {
  if (!(error instanceof ApiError)) return '';
  const details = error.body?.details as { causes?: { field?: string }[] } | undefined;
  return details?.causes?.find((cause) => cause.field)?.field ?? '';
}
