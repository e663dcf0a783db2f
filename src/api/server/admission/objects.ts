import type { UnknownObject } from '../../kinds/meta.ts';
import type { Core } from '../verbs/context.ts';
import type { AdmissionRequest } from './admission.ts';

export function isNewPod({ kind, operation, object, subresource }: AdmissionRequest): boolean {
  return kind.group === '' && kind.kind === 'Pod' && operation === 'CREATE' && !subresource && !!object;
}

/** What the cache has of a built-in kind; '' = all namespaces. */
export function objectsOf(core: Core, group: string, plural: string, namespace: string): UnknownObject[] {
  const kind = core.registry.find(group, 'v1', plural);
  if (!kind) return [];
  const cache = core.objects.cacheOf(kind);
  return Array.from(cache.range(core.objects.prefixOf(kind, namespace)), (entry) => entry.object);
}

export function objectOf(
  core: Core,
  group: string,
  plural: string,
  namespace: string,
  name: string,
): UnknownObject | undefined {
  const kind = core.registry.find(group, 'v1', plural);
  return kind && core.objects.get(kind, namespace, name)?.object;
}
