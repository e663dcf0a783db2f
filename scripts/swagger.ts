/** The parts of an OpenAPI v2 document the generator reads. */
export interface Swagger {
  readonly definitions: Readonly<Record<string, Property>>;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation | undefined>>>>;
}

export interface Property {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Property>>;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-group-version-kind'?: readonly GroupVersionKind[];
}

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export interface Operation {
  readonly 'x-kubernetes-action'?: string;
  readonly 'x-kubernetes-group-version-kind'?: GroupVersionKind;
}

const PREFIXES: readonly (readonly [short: string, long: string])[] = [
  ['meta/', 'io.k8s.apimachinery.pkg.apis.meta.'],
  ['apiextensions/', 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.'],
];

/** `core/v1.Pod` -> `io.k8s.api.core.v1.Pod`. */
export function definitionName(short: string): string {
  for (const [from, to] of PREFIXES) if (short.startsWith(from)) return to + short.slice(from.length);
  return `io.k8s.api.${short.replace('/', '.')}`;
}

/** The inverse; undefined for scalar wrappers like Quantity. */
export function shortName(definition: string): string | undefined {
  for (const [to, from] of PREFIXES)
    if (definition.startsWith(from)) return to + definition.slice(from.length);
  const match = /^io\.k8s\.api\.(\w+)\.(.*)$/.exec(definition);
  return match ? `${match[1]}/${match[2]}` : undefined;
}
