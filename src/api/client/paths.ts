import type { ListQuery, Resource, WatchQuery } from './client.ts';

/** `/api/v1` or `/apis/GROUP/VERSION`. */
function groupVersionPath(resource: { group: string; version: string }): string {
  return resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`;
}

/** `v1` or `GROUP/VERSION`. */
export function apiVersionOf(resource: { readonly group: string; readonly version: string }): string {
  return resource.group ? `${resource.group}/${resource.version}` : resource.version;
}

/** The collection's path; without a namespace that of all namespaces. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const scope = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${groupVersionPath(resource)}${scope}/${resource.plural}`;
}

export function objectPath(
  resource: Resource,
  name: string,
  namespace: string | undefined,
  subresource?: string,
): string {
  const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
  return subresource ? `${path}/${subresource}` : path;
}

/** `?a=1&b=2` of the defined values, empty without any. */
export function queryString(values: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const pairs: string[] = [];
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) pairs.push(`${key}=${encodeURIComponent(String(value))}`);
  }
  return pairs.length > 0 ? `?${pairs.join('&')}` : '';
}

export function listParameters(query: ListQuery): Record<string, string | number | boolean | undefined> {
  return {
    labelSelector: query.labelSelector,
    fieldSelector: query.fieldSelector,
    limit: query.limit,
    continue: query.continueToken,
    resourceVersion: query.resourceVersion,
  };
}

export function watchParameters(query: WatchQuery): Record<string, string | number | boolean | undefined> {
  return {
    ...listParameters(query),
    watch: true,
    allowWatchBookmarks: true,
    timeoutSeconds: query.timeoutSeconds,
    ...(query.sendInitialEvents && { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }),
  };
}
