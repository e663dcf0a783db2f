import type { KubeObject } from '../kinds/meta.ts';
import type { Resource } from './client.ts';

export type InformerEvent<T extends KubeObject> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'updated'; readonly object: T; readonly old: T }
  | { readonly type: 'deleted'; readonly object: T };

/**
 * A local copy of one resource that follows the API: list (or watch-list), watch, bookmarks, relist as a diff
 * without a gap. Never stops on errors: it retries with backoff and keeps serving the last state. Objects are
 * frozen and shared; readers never change them.
 */
export interface Informer<T extends KubeObject> extends AsyncDisposable {
  readonly resource: Resource;
  /** The newest revision seen, '' before the first list. Decimal and growing on every conforming server. */
  readonly resourceVersion: string;
  get(namespace: string | undefined, name: string): T | undefined;
  list(namespace?: string): Iterable<T>;
  /** Objects by a declared index; see InformerOptions.indices. */
  byIndex(index: string, value: string): Iterable<T>;
  /** Handlers get the present objects as `added` first (if synced), then every change in order. */
  subscribe(handler: (event: InformerEvent<T>) => void): Disposable;
  readonly hasSynced: boolean;
  /** Resolves after the first complete list. */
  synced(signal?: AbortSignal): Promise<void>;
}

/**
 * What was known before this process started. An informer whose API cannot be reached starts from it, and compares with
 * the first list when that comes.
 */
export interface ObjectMemory {
  /** The objects of a collection as they were last; undefined when nothing is known of it. */
  recall(resource: Resource): readonly KubeObject[] | undefined;
  /** Keeps what the informer comes to know, from its first list on. */
  remember(informer: Informer<KubeObject>): void;
}

export interface InformerOptions<T extends KubeObject> {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly indices?: Readonly<Record<string, (object: T) => readonly string[]>>;
  /** Drops fields before keeping (memory): must return a new object. */
  readonly trim?: (object: T) => T;
}
