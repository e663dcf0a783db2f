import { watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { sameValue } from '../../base/same-value.ts';
import { SyncLoop } from '../../base/sync-loop.ts';
import { kindKey, type KubeObject, objectKey } from '../kinds/meta.ts';
import type { ObjectSink } from '../kinds/object-sink.ts';
import { MANIFEST_DEBOUNCE_MS, MANIFEST_RESCAN_MS } from './limits.ts';
import { formatManifestError, type ManifestError, type Manifests } from './manifest-parse.ts';
import { ManifestMemory } from './manifest-memory.ts';
import { type ReadDeps, readManifests } from './manifest-read.ts';
import { apiVersionOf } from './paths.ts';
import { resourceOfKind, resources } from './resources.ts';

export interface ManifestSourceDeps extends ReadDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ManifestSource extends AsyncDisposable {
  /** Faults of the newest reading; the objects of faulty files keep their last good state. */
  readonly errors: readonly ManifestError[];
}

/**
 * Manifests in place of an API server (`--from PATH`): reads them, tells the sinks, and follows changes. An
 * object that is in a file twice counts once, the last one. Resolves after the first reading was delivered.
 * @param options.follow false reads once.
 */
export async function openManifestSource(
  paths: readonly string[],
  sinks: readonly ObjectSink[],
  deps: ManifestSourceDeps,
  options: { readonly follow: boolean },
): Promise<ManifestSource> {
  const source = new FollowedManifests(paths, sinks, deps);
  await source.load();
  for (const resource of Object.values(resources)) {
    for (const sink of sinks) sink.synced(apiVersionOf(resource), resource.kind);
  }
  if (options.follow) source.follow();
  return source;
}

interface Kept {
  readonly object: KubeObject;
  readonly file: string;
  /** As it was read, to see changes. */
  readonly read: KubeObject;
}

class FollowedManifests implements ManifestSource {
  readonly #paths: readonly string[];
  readonly #sinks: readonly ObjectSink[];
  readonly #deps: ManifestSourceDeps;
  readonly #memory = new ManifestMemory();
  readonly #objects = new Map<string, Kept>();
  readonly #watchers: { close(): void }[] = [];
  #errors: readonly ManifestError[] = [];
  #revision = 0;
  #loop: SyncLoop | undefined;
  #debounce: Disposable | undefined;

  constructor(paths: readonly string[], sinks: readonly ObjectSink[], deps: ManifestSourceDeps) {
    this.#paths = paths;
    this.#sinks = sinks;
    this.#deps = deps;
  }

  get errors(): readonly ManifestError[] {
    return this.#errors;
  }

  async load(paths: readonly string[] = this.#paths): Promise<void> {
    const found = await readManifests(paths, { ...this.#deps, parse: this.#memory.parse });
    this.#memory.turn();
    for (const error of found.errors) {
      if (!this.#errors.some((old) => sameValue(old, error))) {
        this.#deps.log.error('manifest not read', { fault: formatManifestError(error) });
      }
    }
    this.#errors = found.errors;
    this.#apply(found);
  }

  /** Standard input is read once; it cannot change. */
  follow(): void {
    const paths = this.#paths.filter((path) => path !== '-');
    if (paths.length === 0) return;
    const intervals = { minIntervalMs: 0, retryIntervalMs: 1_000, maxIntervalMs: MANIFEST_RESCAN_MS };
    this.#loop = new SyncLoop(this.#deps, intervals, () => this.load(paths));
    this.#loop.mark();
    for (const path of paths) this.#watch(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watcher of this.#watchers) watcher.close();
    this.#debounce?.[Symbol.dispose]();
    await this.#loop?.[Symbol.asyncDispose]();
  }

  /** A file is watched by its folder: editors and mounts replace files, and the new one is another inode. */
  #watch(path: string): void {
    for (const folder of new Set([path, dirname(path)])) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#changed());
        watcher.on('error', (error) => this.#deps.log.warn('manifest watch ended', { path: folder, error }));
        this.#watchers.push(watcher);
      } catch (error) {
        this.#deps.log.warn('manifests are not watched, only rescanned', { path: folder, error });
      }
    }
  }

  #changed(): void {
    this.#debounce?.[Symbol.dispose]();
    this.#debounce = this.#deps.clock.setTimer(MANIFEST_DEBOUNCE_MS, () => this.#loop?.mark());
  }

  #apply(found: Manifests): void {
    const faulty = new Set(found.errors.map((error) => error.file));
    const isFaulty = (file: string): boolean =>
      faulty.has(file) || [...faulty].some((path) => file.startsWith(`${path}/`));
    const next = new Map<string, { object: KubeObject; file: string }>();
    for (const { object, file } of found.objects) {
      const complete = withDefaults(object);
      next.set(`${kindKey(complete)} ${objectKey(complete)}`, { object: complete, file });
    }
    for (const [key, kept] of this.#objects) {
      // A half-written file must not take its services away.
      if (next.has(key) || isFaulty(kept.file) || kept.file === '-') continue;
      this.#objects.delete(key);
      for (const sink of this.#sinks) sink.remove(kept.object);
    }
    for (const [key, { object, file }] of next) {
      const kept = this.#objects.get(key);
      if (kept && sameValue(kept.read, object)) continue;
      const stamped = this.#stamp(object, key, kept?.object);
      this.#objects.set(key, { object: stamped, file, read: object });
      for (const sink of this.#sinks) sink.upsert(stamped);
    }
  }

  /** What a server would have filled in: uid, resourceVersion, creationTimestamp. */
  #stamp(object: KubeObject, key: string, old: KubeObject | undefined): KubeObject {
    const { metadata } = object;
    return {
      ...object,
      metadata: {
        ...metadata,
        uid: metadata.uid ?? old?.metadata.uid ?? `manifest ${key}`,
        resourceVersion: metadata.resourceVersion ?? String(++this.#revision),
        creationTimestamp:
          metadata.creationTimestamp ??
          old?.metadata.creationTimestamp ??
          new Date(this.#deps.clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z'),
      },
    };
  }
}

/** Namespaced objects without a namespace are in `default`, as with kubectl. */
function withDefaults(object: KubeObject): KubeObject {
  const resource = resourceOfKind(object.apiVersion, object.kind);
  if (object.metadata.namespace || resource?.namespaced === false) return object;
  if (!resource && CLUSTER_KINDS.has(object.kind)) return object;
  return { ...object, metadata: { ...object.metadata, namespace: 'default' } };
}

/** Cluster-scoped kinds of common extensions, which no server tells about here. */
const CLUSTER_KINDS = new Set(['GatewayClass', 'ClusterSet', 'ClusterIssuer']);
