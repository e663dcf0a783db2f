import { type ApiClient, ApiError } from '../../api/client/client.ts';
import type { Informer } from '../../api/client/informer.ts';
import { resources } from '../../api/client/resources.ts';
import type { ControllerRevision, PodTemplate } from '../../api/kinds/apps.ts';
import type { KubeObject } from '../../api/kinds/meta.ts';
import type { LabelSelector } from '../../api/kinds/meta.ts';
import { sameValue } from '../../base/same-value.ts';
import { controllerReference, OWNER_INDEX } from '../owners.ts';
import { isGone } from '../pod-control.ts';
import { safeHash } from './template-hash.ts';

/** Pods carry the name of the revision they were made from. */
export const REVISION_HASH = 'controller-revision-hash';

/** A workload that keeps its templates as ControllerRevisions. */
export type Revisioned = KubeObject & {
  readonly spec: {
    readonly selector: LabelSelector;
    readonly template: PodTemplate;
    readonly revisionHistoryLimit?: number;
  };
};

interface RevisionDeps {
  readonly client: ApiClient;
  readonly revisions: Informer<ControllerRevision>;
}

/** The owner's revisions, oldest first. */
export function revisionsOf(
  revisions: Informer<ControllerRevision>,
  owner: KubeObject,
): ControllerRevision[] {
  const found = Array.from(revisions.byIndex(OWNER_INDEX, owner.metadata.uid ?? ''));
  return found.sort((a, b) => a.revision - b.revision || (a.metadata.name < b.metadata.name ? -1 : 1));
}

/**
 * The patch that brings the owner back to this template: what `kubectl rollout undo` applies and
 * `kubectl rollout history` shows.
 */
function revisionData(template: PodTemplate): unknown {
  return { spec: { template: { ...template, $patch: 'replace' } } };
}

/** The template a revision holds. */
export function templateOf(revision: ControllerRevision): PodTemplate | undefined {
  const data = revision.data as { spec?: { template?: PodTemplate & { $patch?: string } } } | undefined;
  if (!data?.spec?.template) return undefined;
  const { $patch: _, ...template } = data.spec.template;
  return template;
}

/** The revision of the owner's present template: found, given the newest number again, or made. */
export async function updateRevision(
  deps: RevisionDeps,
  owner: Revisioned,
  history: readonly ControllerRevision[],
): Promise<ControllerRevision> {
  const data = revisionData(owner.spec.template);
  const newest = history.reduce((max, one) => Math.max(max, one.revision), 0);
  const equal = history.filter((one) => sameValue(one.data, data)).at(-1);
  if (equal?.revision === newest) return equal;
  if (equal) {
    // Rolled back to an older template: its revision becomes the newest.
    const object = { ...equal, revision: newest + 1 };
    return await deps.client.update<ControllerRevision>(resources.controllerRevisions, object);
  }
  return await createRevision(deps.client, owner, data, newest + 1);
}

async function createRevision(
  client: ApiClient,
  owner: Revisioned,
  data: unknown,
  revision: number,
): Promise<ControllerRevision> {
  const { name, namespace } = owner.metadata;
  for (let collision = 0; ; collision++) {
    const hash = safeHash(data, collision);
    const draft: ControllerRevision = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: `${name}-${hash}`,
        ...(namespace && { namespace }),
        labels: { ...owner.spec.template.metadata?.labels, 'controller.kubernetes.io/hash': hash },
        ownerReferences: [controllerReference(owner)],
      },
      data,
      revision,
    };
    try {
      return await client.create<ControllerRevision>(resources.controllerRevisions, draft);
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error;
      const present = await client.get<ControllerRevision>(
        resources.controllerRevisions,
        draft.metadata.name,
        namespace,
      );
      if (sameValue(present.data, data)) return present;
    }
  }
}

/** Deletes the oldest revisions beyond the limit; those in use stay. */
export async function truncateRevisions(
  client: ApiClient,
  owner: Revisioned,
  history: readonly ControllerRevision[],
  inUse: ReadonlySet<string>,
): Promise<void> {
  const idle = history.filter((one) => !inUse.has(one.metadata.name));
  const limit = owner.spec.revisionHistoryLimit ?? 10;
  for (const one of idle.slice(0, Math.max(0, idle.length - limit))) {
    const { name, namespace } = one.metadata;
    await client.delete(resources.controllerRevisions, name, namespace).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
  }
}
