import type { GroupVersionKind, Subresource, Verb } from '../registry.ts';

/** A row of resources.generated.ts: what the published document says of a collection. */
export interface GeneratedResource extends GroupVersionKind {
  readonly plural: string;
  readonly namespaced: boolean;
  readonly verbs: readonly Verb[];
  readonly subresources: readonly Subresource[];
  /** Key into TYPES. */
  readonly definition: string;
}
