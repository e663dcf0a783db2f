import type { JsonObject } from './json-value.ts';
import { joinApiVersion, type KindInfo } from './registry.ts';

/** One version of a group with what it serves; groups and versions in the order discovery shows them. */
export interface ServedVersion {
  readonly group: string;
  readonly version: string;
  readonly kinds: readonly KindInfo[];
}

/** Groups the kinds: groups in the order first seen, versions of a group by Kubernetes' priority. */
export function servedVersions(kinds: readonly KindInfo[]): ServedVersion[] {
  const groups = new Map<string, Map<string, KindInfo[]>>();
  for (const kind of kinds) {
    const versions = groups.get(kind.group) ?? new Map<string, KindInfo[]>();
    groups.set(kind.group, versions);
    versions.set(kind.version, [...(versions.get(kind.version) ?? []), kind]);
  }
  return [...groups].flatMap(([group, versions]) =>
    [...versions]
      .sort(([a], [b]) => compareVersions(a, b))
      .map(([version, served]) => ({ group, version, kinds: served.toSorted(byPlural) })),
  );
}

function byPlural(a: KindInfo, b: KindInfo): number {
  return a.plural < b.plural ? -1 : 1;
}

/** Sort order of API versions: v2, v1, v1beta2, v1beta1, v1alpha1, then anything else by name. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [versionRank(a), versionRank(b)];
  for (const [index, rank] of left.entries()) {
    const other = right[index] ?? 0;
    if (rank !== other) return other - rank;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

function versionRank(version: string): [stability: number, major: number, minor: number] {
  const match = /^v(\d{1,9})(?:(alpha|beta)(\d{1,9}))?$/.exec(version);
  if (!match) return [0, 0, 0];
  const stability = match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1;
  return [stability, Number(match[1]), Number(match[3] ?? 0)];
}

/** APIGroupDiscoveryList of the core group (`/api`) or of all others (`/apis`). */
export function aggregatedDiscovery(
  served: readonly ServedVersion[],
  core: boolean,
  version: 'v2' | 'v2beta1',
): JsonObject {
  const groups = groupNames(served).filter((group) => (group === '') === core);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: served
        .filter((one) => one.group === group)
        .map((one) => ({
          version: one.version,
          freshness: 'Current',
          resources: one.kinds.map(aggregatedResource),
        })),
    })),
  };
}

function groupNames(served: readonly ServedVersion[]): string[] {
  return [...new Set(served.map((one) => one.group))];
}

function aggregatedResource(kind: KindInfo): JsonObject {
  return {
    resource: kind.plural,
    responseKind: { group: kind.group, version: kind.version, kind: kind.kind },
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(kind.subresources.length > 0 && {
      subresources: kind.subresources.map((one) => ({
        subresource: one.name,
        responseKind: one.kind,
        verbs: one.verbs,
      })),
    }),
  };
}

/** APIVersions, the old answer to `/api`. */
export function apiVersions(serverAddress: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** APIGroupList, the old answer to `/apis`. */
export function apiGroupList(served: readonly ServedVersion[]): JsonObject {
  const groups = groupNames(served).filter((group) => group !== '');
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((group) => groupOf(served, group)) };
}

/** APIGroup, the answer to `/apis/<group>`; undefined when nothing is served there. */
export function apiGroup(served: readonly ServedVersion[], group: string): JsonObject | undefined {
  if (group === '' || !groupNames(served).includes(group)) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(served, group) };
}

function groupOf(served: readonly ServedVersion[], group: string): JsonObject {
  const versions = served
    .filter((one) => one.group === group)
    .map(({ version }) => ({ groupVersion: joinApiVersion(group, version), version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

/** APIResourceList, the answer to `/api/v1` and `/apis/<group>/<version>`; undefined when nothing is there. */
export function apiResourceList(
  served: readonly ServedVersion[],
  group: string,
  version: string,
): JsonObject | undefined {
  const found = served.find((one) => one.group === group && one.version === version);
  if (!found) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: joinApiVersion(group, version),
    resources: found.kinds.flatMap(resourcesOf),
  };
}

function resourcesOf(kind: KindInfo): JsonObject[] {
  const own = {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: kind.verbs,
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
  };
  const subresources = kind.subresources.map((one) => {
    const foreign = one.kind.group !== kind.group || one.kind.version !== kind.version;
    return {
      name: `${kind.plural}/${one.name}`,
      singularName: '',
      namespaced: kind.namespaced,
      ...(foreign && { group: one.kind.group, version: one.kind.version }),
      kind: one.kind.kind,
      verbs: one.verbs,
    };
  });
  return [own, ...subresources];
}
