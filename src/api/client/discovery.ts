import type { ApiClient, Resource } from './client.ts';
import { ApiError } from './client.ts';

export interface DiscoveredResource extends Resource {
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  /** Names for several kinds at once, as `all`. */
  readonly categories: readonly string[];
}

interface ResourceList {
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs: readonly string[];
    readonly shortNames?: readonly string[];
    readonly categories?: readonly string[];
  }[];
}

interface GroupList {
  readonly groups?: readonly {
    readonly name: string;
    readonly preferredVersion?: { readonly version: string };
    readonly versions?: readonly { readonly version: string }[];
  }[];
}

/**
 * The collections a server offers, each group in its preferred version only, subresources left out. A group
 * whose own server does not answer (503) is left out as well.
 */
export async function discoverResources(
  client: ApiClient,
  signal?: AbortSignal,
): Promise<DiscoveredResource[]> {
  const groups = (await client.read<GroupList>('/apis', signal)).groups ?? [];
  const found = await groupResources(client, '', 'v1', signal);
  for (const group of groups) {
    const version = group.preferredVersion?.version ?? group.versions?.[0]?.version;
    if (version) found.push(...(await groupResources(client, group.name, version, signal)));
  }
  return found;
}

async function groupResources(
  client: ApiClient,
  group: string,
  version: string,
  signal: AbortSignal | undefined,
): Promise<DiscoveredResource[]> {
  const path = group ? `/apis/${group}/${version}` : `/api/${version}`;
  let list: ResourceList;
  try {
    list = await client.read<ResourceList>(path, signal);
  } catch (error) {
    if (error instanceof ApiError && (error.status === 503 || error.status === 404)) return [];
    throw error;
  }
  return (list.resources ?? [])
    .filter(({ name }) => !name.includes('/'))
    .map(({ name, kind, namespaced, verbs, shortNames = [], categories = [] }) => ({
      group,
      version,
      plural: name,
      kind,
      namespaced,
      verbs,
      shortNames,
      categories,
    }));
}
