import type { FieldError } from '../field-error.ts';
import type { UnknownObject } from '../meta.ts';
import type { ScalePaths } from '../registry.ts';
import type { NameRule } from './metadata.ts';

/**
 * What sets one built-in kind apart; everything left out has the common behaviour. Functions never throw,
 * whatever JSON they are given; `defaults` and `prepare…` mutate.
 */
export interface KindRules {
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** Defaults to a DNS subdomain. */
  readonly nameRule?: NameRule;
  readonly scale?: ScalePaths;
  readonly selectable?: Readonly<Record<string, string | ((object: UnknownObject) => string)>>;
  readonly generation?: boolean;
  /** One kind of two APIs: kept in the form of the other one. */
  readonly stored?: {
    readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
    toStorage(object: UnknownObject): UnknownObject;
    fromStorage(object: UnknownObject): UnknownObject;
  };
  /** False: PUT must carry resourceVersion. */
  readonly unconditionalUpdate?: boolean;
  readonly createOnUpdate?: boolean;
  readonly ttlSeconds?: number;
  /** Keep a `status` sent on create (kinds without the subresource, or whose creator owns it). */
  readonly keepStatus?: boolean;
  readonly deletionFinalizers?: readonly string[];
  defaults?(object: UnknownObject): void;
  prepareCreate?(object: UnknownObject): void;
  prepareUpdate?(object: UnknownObject, old: UnknownObject): void;
  /** Rules beside metadata, for new and changed objects; `old` is what was there before a change. */
  validate?(object: UnknownObject, old?: UnknownObject): FieldError[];
  /** Rules for new objects only. */
  validateCreate?(object: UnknownObject): FieldError[];
  /** Rules of a change beside metadata and `validate`. */
  validateUpdate?(object: UnknownObject, old: UnknownObject): FieldError[];
  validateStatus?(object: UnknownObject, old: UnknownObject): FieldError[];
  /** Told in a Warning header of every request for the kind. */
  readonly deprecation?: string;
  graceSeconds?(object: UnknownObject, requested: number | undefined): number;
}
