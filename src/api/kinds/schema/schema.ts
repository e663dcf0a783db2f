/**
 * What the server knows about the type of one place in an object. Built-in kinds have it from generated
 * tables, custom resources from their structural schema; patches, server-side apply and strict decoding
 * read both through this one shape. Nodes are built on demand and shared: treat them as frozen.
 */
export interface Schema {
  readonly type: SchemaType;
  /** x-kubernetes-list-type; lists only, `atomic` when the document says nothing. */
  readonly listType: 'atomic' | 'set' | 'map';
  /** x-kubernetes-list-map-keys; `map` lists only. */
  readonly listMapKeys: readonly string[];
  /** x-kubernetes-map-type; objects and maps. */
  readonly mapType: 'granular' | 'atomic';
  /** x-kubernetes-patch-merge-key; undefined = the list is replaced (or merged as a set of scalars). */
  readonly patchMergeKey: string | undefined;
  /** x-kubernetes-patch-strategy split at commas: merge, replace, retainKeys. */
  readonly patchStrategy: readonly string[];
  readonly required: readonly string[];
  /** Value a list-map key takes when an item leaves it out (protocol: TCP). */
  readonly default: unknown;
  readonly format: string | undefined;
  /** True = unknown fields are kept (x-kubernetes-preserve-unknown-fields, RawExtension, `any`). */
  readonly preserveUnknown: boolean;
  /** x-kubernetes-embedded-resource: apiVersion, kind and metadata are always allowed. */
  readonly embedded: boolean;
  /** True = Go writes the field even when it is empty. To field managers it always exists. */
  readonly written: boolean;
  /** OpenAPI definition (`core/v1.Container`), undefined for inline schemas. */
  readonly definition: string | undefined;
  /** Names of the declared properties; empty for scalars, lists and maps. */
  fieldNames(): readonly string[];
  /** Declared property, undefined when unknown. Maps answer their value schema for every name. */
  field(name: string): Schema | undefined;
  /** Element of a list, value of a map; undefined otherwise. */
  items(): Schema | undefined;
}

export type SchemaType =
  | 'object'
  | 'map'
  | 'list'
  | 'string'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'int-or-string'
  | 'quantity'
  | 'any';
