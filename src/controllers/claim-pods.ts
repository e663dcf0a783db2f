import type { ApiClient } from '../api/client/client.ts';
import { ApiError } from '../api/client/client.ts';
import type { Informer } from '../api/client/informer.ts';
import type { KubeObject } from '../api/kinds/meta.ts';
import type { Pod } from '../api/kinds/pod.ts';
import { OWNER_INDEX, orphanKey } from './owners.ts';
import { adoptPod, releasePod } from './pod-control.ts';

/**
 * The pods an owner has: those it controls and selects. A controlled pod that no longer matches is released,
 * a matching orphan is adopted (unless either side is going away).
 */
export async function claimPods(
  deps: { readonly client: ApiClient; readonly pods: Informer<Pod> },
  owner: KubeObject,
  matches: (pod: Pod) => boolean,
): Promise<Pod[]> {
  const { client, pods } = deps;
  const claimed: Pod[] = [];
  const leaving = owner.metadata.deletionTimestamp !== undefined;
  for (const pod of Array.from(pods.byIndex(OWNER_INDEX, owner.metadata.uid ?? ''))) {
    if (matches(pod)) claimed.push(pod);
    else if (!leaving && !pod.metadata.deletionTimestamp) await tolerant(releasePod(client, owner, pod));
  }
  if (leaving) return claimed;
  for (const pod of Array.from(pods.byIndex(OWNER_INDEX, orphanKey(owner.metadata.namespace)))) {
    if (pod.metadata.deletionTimestamp || !matches(pod)) continue;
    const adopted = await tolerant(adoptPod(client, owner, pod));
    if (adopted) claimed.push(adopted);
  }
  return claimed;
}

/** A pod that vanished or was rewritten meanwhile comes back as an event; it is not claimed this time. */
async function tolerant(write: Promise<Pod>): Promise<Pod | undefined> {
  try {
    return await write;
  } catch (error) {
    if (error instanceof ApiError && [404, 409, 422].includes(error.status)) return undefined;
    throw error;
  }
}
