import { ApiError, type Resource } from '../api/client/client.ts';
import { discoverResources } from '../api/client/discovery.ts';
import type { Informer } from '../api/client/informer.ts';
import { openInformer } from '../api/client/open-informer.ts';
import { done } from '../api/client/reconcile.ts';
import { resources } from '../api/client/resources.ts';
import { collectionPath } from '../api/client/paths.ts';
import { type KubeObject, objectKey, type OwnerReference } from '../api/kinds/meta.ts';
import { messageOf } from '../base/fault.ts';
import { type ControllerContext, openLoop, splitKey } from './context.ts';
import { DISCOVERY_INTERVAL_MS, MAX_ABSENT_OWNERS } from './limits.ts';
import { isGone } from './pod-control.ts';

const FOREGROUND = 'foregroundDeletion';
const ORPHAN = 'orphan';
const OWNERS_INDEX = 'owner-uids';
/** Too many and too short-lived, and they never own anything. */
const IGNORED = new Set([
  '/api/v1/events',
  '/apis/events.k8s.io/v1/events',
  '/apis/coordination.k8s.io/v1/leases',
]);

function ownersIndex(object: KubeObject): readonly string[] {
  return (object.metadata.ownerReferences ?? []).map(({ uid }) => uid);
}

/**
 * Deletes objects whose owners are gone (background), finishes owners that wait for their dependents
 * (foreground), and frees dependents of owners that were deleted as orphaning. Each kind the server offers is
 * followed; an owner is believed gone only after the server said so.
 */
export function openGarbageCollector(context: ControllerContext): AsyncDisposable {
  return new GarbageCollector(context);
}

class GarbageCollector implements AsyncDisposable {
  readonly #context: ControllerContext;
  readonly #informers = new Map<string, Informer<KubeObject>>();
  /** Those of #informers that nobody else shares. */
  readonly #own = new Map<string, Informer<KubeObject>>();
  readonly #byKind = new Map<string, Resource>();
  readonly #subscriptions: Disposable[] = [];
  readonly #absent = new Set<string>();
  readonly #loop;
  readonly #discovery;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#loop = openLoop(context, 'garbage-collector', (key) => this.#collect(key));
    this.#discovery = openLoop(context, 'garbage-collector-discovery', () => this.#discover(), 1);
    this.#discovery.add('resources');
    const definitions = context.informers.informer(resources.customResourceDefinitions);
    this.#subscriptions.push(definitions.subscribe(() => this.#discovery.addAfter('resources', 1_000)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    await this.#discovery[Symbol.asyncDispose]();
    await this.#loop[Symbol.asyncDispose]();
    await Promise.all([...this.#own.values()].map((informer) => informer[Symbol.asyncDispose]()));
  }

  /** Follows kinds that appeared, lets go of those that vanished. */
  async #discover(): Promise<{ outcome: 'again'; afterMs: number }> {
    const served = new Set<string>();
    for (const resource of await discoverResources(this.#context.client)) {
      const path = collectionPath(resource);
      const { verbs } = resource;
      const usable = verbs.includes('list') && verbs.includes('watch') && verbs.includes('delete');
      if (!usable || IGNORED.has(path)) continue;
      served.add(path);
      if (!this.#informers.has(path)) this.#follow(path, resource);
    }
    for (const path of this.#informers.keys()) {
      if (served.has(path)) continue;
      this.#informers.delete(path);
      await this.#own.get(path)?.[Symbol.asyncDispose]();
      this.#own.delete(path);
    }
    return { outcome: 'again', afterMs: DISCOVERY_INTERVAL_MS };
  }

  /** Kinds no other controller reads are kept as metadata only. */
  #follow(path: string, resource: Resource): void {
    const context = this.#context;
    const indices = { [OWNERS_INDEX]: ownersIndex };
    let informer: Informer<KubeObject>;
    if (context.informers.has(resource)) informer = context.informers.informer<KubeObject>(resource, indices);
    else {
      informer = openInformer<KubeObject>(context.client, resource, { indices, trim: metadataOnly }, context);
      this.#own.set(path, informer);
    }
    this.#informers.set(path, informer);
    this.#byKind.set(kindName(resource.group, resource.kind), resource);
    this.#subscriptions.push(
      informer.subscribe(({ type, object }) => {
        if (type === 'deleted') this.#ownerGone(path, object);
        else if (needsLook(object)) this.#loop.add(`${path} ${objectKey(object)}`);
      }),
    );
  }

  #ownerGone(path: string, object: KubeObject): void {
    const { uid, ownerReferences = [] } = object.metadata;
    if (uid) {
      this.#noteAbsent(uid);
      this.#eachDependent(uid, (at, dependent) => this.#loop.add(`${at} ${objectKey(dependent)}`));
    }
    // An owner in foreground deletion waits for this one.
    for (const reference of ownerReferences) {
      const resource = this.#resourceOf(reference);
      if (!resource || collectionPath(resource) === path) continue;
      const namespace = resource.namespaced ? object.metadata.namespace : undefined;
      const key = namespace ? `${namespace}/${reference.name}` : reference.name;
      this.#loop.add(`${collectionPath(resource)} ${key}`);
    }
  }

  #noteAbsent(uid: string): void {
    if (this.#absent.size >= MAX_ABSENT_OWNERS) this.#absent.delete(this.#absent.values().next().value ?? '');
    this.#absent.add(uid);
  }

  #eachDependent(uid: string, visit: (path: string, dependent: KubeObject) => void): void {
    for (const [path, informer] of this.#informers) {
      for (const dependent of informer.byIndex(OWNERS_INDEX, uid)) visit(path, dependent);
    }
  }

  #resourceOf(reference: OwnerReference): Resource | undefined {
    const [group, version] = reference.apiVersion.includes('/')
      ? reference.apiVersion.split('/')
      : ['', reference.apiVersion];
    const known = this.#byKind.get(kindName(group ?? '', reference.kind));
    return known && { ...known, version: version ?? known.version };
  }

  async #collect(key: string): Promise<typeof done> {
    const space = key.indexOf(' ');
    const informer = this.#informers.get(key.slice(0, space));
    const { namespace, name } = splitKey(key.slice(space + 1));
    const object = informer?.get(namespace, name);
    if (!informer || !object) return done;
    const { resource } = informer;
    const { deletionTimestamp, finalizers = [], ownerReferences = [] } = object.metadata;
    if (deletionTimestamp && finalizers.includes(ORPHAN)) await this.#orphanDependents(resource, object);
    else if (deletionTimestamp && finalizers.includes(FOREGROUND))
      await this.#finishForeground(resource, object);
    else if (!deletionTimestamp && ownerReferences.length > 0) await this.#judge(resource, object);
    return done;
  }

  /** Deletes the object when no owner is left, or drops its references to owners that are gone. */
  async #judge(resource: Resource, object: KubeObject): Promise<void> {
    const gone: OwnerReference[] = [];
    const waiting: OwnerReference[] = [];
    const alive: OwnerReference[] = [];
    for (const reference of object.metadata.ownerReferences ?? []) {
      const owner = await this.#lookUp(reference, object);
      if (!owner) gone.push(reference);
      else if (isForeground(owner) && reference.blockOwnerDeletion) waiting.push(reference);
      else alive.push(reference);
    }
    if (alive.length > 0) {
      if (gone.length > 0 || waiting.length > 0)
        await this.#dropReferences(resource, object, [...gone, ...waiting]);
      return;
    }
    if (gone.length === 0 && waiting.length === 0) return;
    const hasDependents = this.#hasBlockingDependents(object);
    const policy = waiting.length > 0 && hasDependents ? 'Foreground' : policyOf(object);
    await this.#delete(resource, object, policy);
  }

  #hasBlockingDependents(object: KubeObject): boolean {
    let found = false;
    this.#eachDependent(object.metadata.uid ?? '', () => (found = true));
    return found;
  }

  /** The owner, live unless the cache has it. Undefined: certainly gone. */
  async #lookUp(reference: OwnerReference, dependent: KubeObject): Promise<KubeObject | undefined> {
    if (this.#absent.has(reference.uid)) return undefined;
    const resource = this.#resourceOf(reference);
    if (!resource) {
      // A kind the server does not offer (yet): nothing can be said of the owner.
      throw new Error(`owner kind ${reference.apiVersion} ${reference.kind} is not served`);
    }
    if (resource.namespaced && !dependent.metadata.namespace) {
      this.#invalid(dependent, reference);
      return { apiVersion: '', kind: '', metadata: { name: reference.name } }; // never deleted for it
    }
    const namespace = resource.namespaced ? dependent.metadata.namespace : undefined;
    const cached = this.#informers.get(collectionPath(resource))?.get(namespace, reference.name);
    if (cached?.metadata.uid === reference.uid) return cached;
    try {
      const live = await this.#context.client.get<KubeObject>(resource, reference.name, namespace);
      if (live.metadata.uid === reference.uid) return live;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
    this.#noteAbsent(reference.uid);
    return undefined;
  }

  #invalid(dependent: KubeObject, reference: OwnerReference): void {
    const text = `ownerRef [${reference.apiVersion}/${reference.kind}, name: ${reference.name}] is namespaced`;
    this.#context.events.record(dependent, 'Warning', 'OwnerRefInvalidNamespace', text);
  }

  async #delete(
    resource: Resource,
    object: KubeObject,
    propagationPolicy: 'Background' | 'Foreground' | 'Orphan',
  ): Promise<void> {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const preconditions = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
    try {
      await this.#context.client.delete(resource, name, namespace, { propagationPolicy, preconditions });
      this.#context.log.debug('collected', { kind: resource.kind, object: objectKey(object) });
    } catch (error) {
      // Changed meanwhile: its event brings it back here.
      if (!isGone(error)) throw error;
      this.#context.log.debug('not collected', { object: objectKey(object), reason: messageOf(error) });
    }
  }

  async #dropReferences(
    resource: Resource,
    object: KubeObject,
    dropped: readonly OwnerReference[],
  ): Promise<void> {
    const uids = new Set(dropped.map(({ uid }) => uid));
    const ownerReferences = (object.metadata.ownerReferences ?? []).filter(({ uid }) => !uids.has(uid));
    await this.#patch(resource, object, { ownerReferences });
  }

  async #orphanDependents(resource: Resource, owner: KubeObject): Promise<void> {
    const dependents: [string, KubeObject][] = [];
    this.#eachDependent(owner.metadata.uid ?? '', (path, dependent) => dependents.push([path, dependent]));
    for (const [path, dependent] of dependents) {
      const informer = this.#informers.get(path);
      const references = (dependent.metadata.ownerReferences ?? []).filter(
        ({ uid }) => uid === owner.metadata.uid,
      );
      if (informer) await this.#dropReferences(informer.resource, dependent, references);
    }
    await this.#dropFinalizer(resource, owner, ORPHAN);
  }

  /** Deletes the dependents; the owner goes when none is left that blocks it. */
  async #finishForeground(resource: Resource, owner: KubeObject): Promise<void> {
    for (const { hasSynced, resource: other } of this.#informers.values()) {
      if (!hasSynced) throw new Error(`${other.plural} are not known yet`);
    }
    let blocked = false;
    this.#eachDependent(owner.metadata.uid ?? '', (path, dependent) => {
      const reference = dependent.metadata.ownerReferences?.find(({ uid }) => uid === owner.metadata.uid);
      if (reference?.blockOwnerDeletion) blocked = true;
      if (!dependent.metadata.deletionTimestamp) this.#loop.add(`${path} ${objectKey(dependent)}`);
    });
    if (!blocked) await this.#dropFinalizer(resource, owner, FOREGROUND);
  }

  async #dropFinalizer(resource: Resource, object: KubeObject, finalizer: string): Promise<void> {
    const finalizers = (object.metadata.finalizers ?? []).filter((one) => one !== finalizer);
    await this.#patch(resource, object, { finalizers });
  }

  async #patch(resource: Resource, object: KubeObject, metadata: Record<string, unknown>): Promise<void> {
    const { name, namespace, resourceVersion } = object.metadata;
    const patch = { metadata: { ...metadata, ...(resourceVersion && { resourceVersion }) } };
    try {
      await this.#context.client.patch(resource, name, namespace, 'merge', patch);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }
}

function metadataOnly({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { managedFields: _, annotations: __, ...kept } = metadata;
  return { apiVersion, kind, metadata: kept };
}

/** Only objects with owners, and deleted ones that wait for this collector, can need anything. */
function needsLook({ metadata }: KubeObject): boolean {
  const waits = metadata.finalizers?.some((one) => one === FOREGROUND || one === ORPHAN) ?? false;
  return (metadata.ownerReferences?.length ?? 0) > 0 || (metadata.deletionTimestamp !== undefined && waits);
}

function isForeground({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).includes(FOREGROUND);
}

/** The policy the object's own finalizers ask for. */
function policyOf({ metadata }: KubeObject): 'Background' | 'Foreground' | 'Orphan' {
  if (metadata.finalizers?.includes(ORPHAN)) return 'Orphan';
  return metadata.finalizers?.includes(FOREGROUND) ? 'Foreground' : 'Background';
}

function kindName(group: string, kind: string): string {
  return `${group}/${kind}`;
}
