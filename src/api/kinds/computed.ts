import { customKinds } from './custom/custom-kind.ts';
import type { JsonObject } from './json-value.ts';
import type { KindInfo, Printer } from './registry.ts';

interface ComputedKind {
  readonly group: string;
  readonly version: string;
  readonly scope: 'Cluster' | 'Namespaced';
  readonly names: { readonly plural: string; readonly kind: string; readonly shortNames?: readonly string[] };
  /** Structural schemas of the fields beside metadata. */
  readonly properties: JsonObject;
  readonly printer: Printer;
}

/** A kind whose objects are made for each get and list, and never stored. */
export function computedKinds({
  group,
  version,
  scope,
  names,
  properties,
  printer,
}: ComputedKind): KindInfo[] {
  const schema = { openAPIV3Schema: { type: 'object', properties } };
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${names.plural}.${group}`, generation: 1 },
    spec: { group, scope, names, versions: [{ name: version, served: true, storage: true, schema }] },
  };
  return customKinds(definition).map((made) => ({ ...made, verbs: ['get', 'list'], virtual: true, printer }));
}
