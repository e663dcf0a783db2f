import type { KubeObject, UnknownObject } from '../kinds/meta.ts';

/** A resource collection, for example {group: 'apps', version: 'v1', plural: 'deployments', namespaced: true}. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export interface ListResult<T extends KubeObject> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly continueToken: string | undefined;
}

export interface ListQuery {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continueToken?: string;
  readonly resourceVersion?: string;
}

export interface WatchQuery extends ListQuery {
  /** Asks for the present objects first, then a bookmark with initialEventsEnd (KEP-3157 watch-list). */
  readonly sendInitialEvents?: boolean;
  /** The server ends the watch after this long. */
  readonly timeoutSeconds?: number;
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly initialEventsEnd: boolean };

export type PatchType = 'merge' | 'strategic' | 'json' | 'apply';

export interface WriteOptions {
  readonly fieldManager?: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly subresource?: string;
  readonly signal?: AbortSignal;
}

/** An API error reply: `status` is the HTTP code, `reason` the Status reason (NotFound, Conflict, Expired ...). */
export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly body: UnknownObject | undefined;

  constructor(status: number, reason: string, message: string, body?: UnknownObject) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
    this.body = body;
  }
}

/**
 * Typed access to any Kubernetes API, in-process or by kubeconfig. Rejects with ApiError for error replies and
 * with Fault API_UNREACHABLE when no reply came. Objects that come back must be treated as frozen.
 */
export interface ApiClient {
  get<T extends KubeObject>(
    resource: Resource,
    name: string,
    namespace?: string,
    signal?: AbortSignal,
  ): Promise<T>;
  list<T extends KubeObject>(
    resource: Resource,
    query?: ListQuery,
    signal?: AbortSignal,
  ): Promise<ListResult<T>>;
  watch<T extends KubeObject>(
    resource: Resource,
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  /** With `subresource` (binding, eviction, token): posts to the object that metadata.name names. */
  create<T extends KubeObject>(resource: Resource, object: T, options?: WriteOptions): Promise<T>;
  update<T extends KubeObject>(resource: Resource, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    resource: Resource,
    name: string,
    namespace: string | undefined,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions,
  ): Promise<T>;
  delete(
    resource: Resource,
    name: string,
    namespace?: string,
    options?: {
      gracePeriodSeconds?: number;
      propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
      preconditions?: { uid?: string; resourceVersion?: string };
      signal?: AbortSignal;
    },
  ): Promise<void>;
  /** Deletes each object of the collection that the selectors match. */
  deleteCollection(resource: Resource, query?: ListQuery, signal?: AbortSignal): Promise<void>;
  /** GET of any path as JSON: discovery, scale, the metrics API. */
  read<T>(path: string, signal?: AbortSignal): Promise<T>;
}
