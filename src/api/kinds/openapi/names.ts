import type { GroupVersionKind } from '../registry.ts';

const PREFIXES: readonly (readonly [short: string, long: string])[] = [
  ['meta/', 'io.k8s.apimachinery.pkg.apis.meta.'],
  ['apiextensions/', 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.'],
];

/** Published name of a generated type: `core/v1.Pod` -> `io.k8s.api.core.v1.Pod`. */
export function componentName(type: string): string {
  for (const [short, long] of PREFIXES) if (type.startsWith(short)) return long + type.slice(short.length);
  return `io.k8s.api.${type.replace('/', '.')}`;
}

/** Published name of a custom resource's type: `com.example.stable.v1.CronTab`. */
export function customComponentName({ group, version, kind }: GroupVersionKind): string {
  return [...group.split('.').reverse(), version, kind].join('.');
}

/** Types of request and reply bodies of subresources that are no kinds of their own. */
const BODY_TYPES: Readonly<Record<string, string>> = {
  'autoscaling/v1/Scale': 'autoscaling/v1.Scale',
  'policy/v1/Eviction': 'policy/v1.Eviction',
  'authentication.k8s.io/v1/TokenRequest': 'authentication/v1.TokenRequest',
  '/v1/Binding': 'core/v1.Binding',
};

/** Generated type of a subresource's body; undefined when it has none or is the parent itself. */
export function bodyType({ group, version, kind }: GroupVersionKind): string | undefined {
  return BODY_TYPES[`${group}/${version}/${kind}`];
}
