import type { FieldError } from './field-error.ts';
import type { JsonObject } from './json-value.ts';
import type { UnknownObject } from './meta.ts';
import type { Schema } from './schema/schema.ts';

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

export interface Subresource {
  /** For example `status`, `scale`, `log`, `token`. */
  readonly name: string;
  readonly verbs: readonly Verb[];
  /** Kind of the body or reply: Scale for `scale`, the parent's own kind for `status`. */
  readonly kind: GroupVersionKind;
}

export interface TableColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  /** `name` marks the column kubectl uses as the object's name. */
  readonly format: string;
  readonly description: string;
  /** 0 = always shown, 1 = only with `-o wide`. */
  readonly priority: number;
}

export type Cell = string | number | boolean | null;

/** How a kind is printed. `row` gives one cell per column, in order, and never throws. */
export interface Printer {
  readonly columns: readonly TableColumn[];
  row(object: UnknownObject, nowMs: number): Cell[];
}

/** Where replicas live in a kind with the scale subresource; dotted JSON paths without the leading dot. */
export interface ScalePaths {
  readonly specReplicas: string;
  readonly statusReplicas: string;
  readonly labelSelector: string | undefined;
}

/**
 * Everything the server must know about one served kind in one version. Built-in kinds are seeded from
 * generated tables and the files beside this one; CustomResourceDefinitions add values at run time.
 * Functions that mutate say so and expect a private, fresh copy.
 */
export interface KindInfo extends GroupVersionKind {
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly Verb[];
  readonly subresources: readonly Subresource[];
  /** Never stored: replies are computed (SubjectAccessReview, TokenReview, PodMetrics). */
  readonly virtual: boolean;
  /**
   * Collection in the store, shared by every version and alias of the kind (events.k8s.io Events live in
   * the core collection), and the kind objects are stored as.
   */
  readonly storage: { readonly collection: string; readonly kind: GroupVersionKind };
  /** Lazily built; the root object type. */
  readonly schema: Schema;
  /** The `openAPIV3Schema` as published, for custom resources; undefined for built-in kinds. */
  readonly openApiSchema: unknown;
  readonly printer: Printer;
  /** Field labels a field selector may name, with the way to the value. Always has metadata.name/namespace. */
  readonly selectableFields: ReadonlyMap<string, (object: UnknownObject) => string>;
  readonly scale: ScalePaths | undefined;
  /** PUT without resourceVersion is accepted. */
  readonly allowUnconditionalUpdate: boolean;
  /** PUT of a missing object creates it. */
  readonly allowCreateOnUpdate: boolean;
  /** metadata.generation is kept. */
  readonly generation: boolean;
  /** Time to live of an object in seconds (Events), undefined = for ever. */
  readonly ttlSeconds: number | undefined;

  /** Text for the Warning header of every request of this version; absent = not deprecated. */
  readonly deprecationWarning?: string;
  /** Finalizers a DELETE puts on the object, whatever the client asks. */
  readonly deletionFinalizers?: readonly string[];

  /** Mutates: fills every default. Idempotent; never throws on odd shapes. */
  defaults(object: UnknownObject): void;
  /** Mutates a new object before validation: clears status, sets generation 1. */
  prepareCreate(object: UnknownObject): void;
  /** Mutates `object` before validation of PUT/PATCH: takes status and server fields from `old`, bumps generation. */
  prepareUpdate(object: UnknownObject, old: UnknownObject): void;
  /** The same for …/status: everything but status (and labels/annotations rules) comes from `old`. */
  prepareStatus(object: UnknownObject, old: UnknownObject): void;
  /** Rules for a new object, metadata included. Never throws. */
  validate(object: UnknownObject): FieldError[];
  /** Rules for a change, metadata and `validate` included. */
  validateUpdate(object: UnknownObject, old: UnknownObject): FieldError[];
  validateStatus(object: UnknownObject, old: UnknownObject): FieldError[];
  /** Texts for the Warning header of an accepted write; `old` is absent for what is new. */
  warnings(object: UnknownObject, old?: UnknownObject): string[];
  /** Grace of a DELETE in seconds; 0 = at once. `requested` is undefined when the client gave none. */
  graceSeconds(object: UnknownObject, requested: number | undefined): number;
  /** `spec.conversion.webhook` of the definition: what other versions look like is asked there. */
  readonly conversionWebhook?: JsonObject;
  /** Mutate between the served version and the storage version; undefined = same shape, only apiVersion differs. */
  readonly convert:
    | { toStorage(object: UnknownObject): UnknownObject; fromStorage(object: UnknownObject): UnknownObject }
    | undefined;
}

/** The served kinds. One per server: CustomResourceDefinitions add to it and take from it. */
export class KindRegistry {
  readonly #byResource = new Map<string, KindInfo>();
  readonly #byKind = new Map<string, KindInfo>();
  #version = 0;

  /** @param seed Kinds served from the start; normally `builtinKinds()`. */
  constructor(seed: Iterable<KindInfo>) {
    for (const kind of seed) this.add(kind);
  }

  /** Grows by one with each change: cache key for discovery and OpenAPI documents. */
  get version(): number {
    return this.#version;
  }

  /** Adds or replaces the kind served under the same group, version and plural. */
  add(kind: KindInfo): void {
    this.remove(kind.group, kind.version, kind.plural);
    this.#byResource.set(resourceKey(kind.group, kind.version, kind.plural), kind);
    this.#byKind.set(resourceKey(kind.group, kind.version, kind.kind), kind);
    this.#version += 1;
  }

  /** False when nothing was served there. */
  remove(group: string, version: string, plural: string): boolean {
    const key = resourceKey(group, version, plural);
    const known = this.#byResource.get(key);
    if (!known) return false;
    this.#byResource.delete(key);
    const kindKey = resourceKey(group, version, known.kind);
    if (this.#byKind.get(kindKey) === known) this.#byKind.delete(kindKey);
    this.#version += 1;
    return true;
  }

  /** Found by the path of a request. `group` is '' for the core group. */
  find(group: string, version: string, plural: string): KindInfo | undefined {
    return this.#byResource.get(resourceKey(group, version, plural));
  }

  /** Found by what an object says of itself. */
  findByKind(apiVersion: string, kind: string): KindInfo | undefined {
    const { group, version } = splitApiVersion(apiVersion);
    return this.#byKind.get(resourceKey(group, version, kind));
  }

  /** Every served kind, in the order added. */
  all(): KindInfo[] {
    return [...this.#byResource.values()];
  }
}

/** `apps/v1` -> apps, v1; `v1` -> '', v1. */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  if (slash < 0) return { group: '', version: apiVersion };
  return { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

export function joinApiVersion(group: string, version: string): string {
  return group ? `${group}/${version}` : version;
}

function resourceKey(group: string, version: string, name: string): string {
  return `${group}/${version}/${name}`;
}
