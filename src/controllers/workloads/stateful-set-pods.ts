import type { ControllerRevision, PodTemplate, StatefulSet } from '../../api/kinds/apps.ts';
import type { KubeObject } from '../../api/kinds/meta.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { podFromTemplate } from '../pod-control.ts';
import { REVISION_HASH, templateOf } from './stateful-set-revisions.ts';

const POD_NAME_LABEL = 'statefulset.kubernetes.io/pod-name';
const POD_INDEX_LABEL = 'apps.kubernetes.io/pod-index';

/** The ordinal in a pod's name, undefined when the name is not one of the set's. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const text = pod.metadata.name.startsWith(prefix) ? pod.metadata.name.slice(prefix.length) : '';
  return /^(0|[1-9]\d{0,8})$/.test(text) ? Number(text) : undefined;
}

/** The pod of one ordinal at a revision: stable name, hostname and claims. */
export function statefulPod(set: StatefulSet, ordinal: number, revision: ControllerRevision): Pod {
  const template: PodTemplate = templateOf(revision) ?? set.spec.template;
  const name = `${set.metadata.name}-${ordinal}`;
  const pod = podFromTemplate(set, template, name);
  const { serviceName } = set.spec;
  const volumes = claimVolumes(set, name, template);
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata.labels,
        [POD_NAME_LABEL]: name,
        [POD_INDEX_LABEL]: String(ordinal),
        [REVISION_HASH]: revision.metadata.name,
      },
    },
    spec: {
      ...pod.spec,
      hostname: name,
      ...(serviceName && { subdomain: serviceName }),
      ...(volumes && { volumes }),
    },
  };
}

export function claimName(template: string, podName: string): string {
  return `${template}-${podName}`;
}

/** Volumes named like a claim template are that pod's own claim. */
function claimVolumes(set: StatefulSet, podName: string, template: PodTemplate): Pod['spec']['volumes'] {
  const claims = set.spec.volumeClaimTemplates ?? [];
  if (claims.length === 0) return undefined;
  const names = new Set(claims.map((claim) => claim.metadata.name));
  const others = (template.spec.volumes ?? []).filter((volume) => !names.has(volume.name));
  const own = claims.map((claim) => {
    const name = claim.metadata.name ?? '';
    return { name, persistentVolumeClaim: { claimName: claimName(name, podName) } };
  });
  return [...others, ...own];
}

/** The claims one pod of the set needs. */
export function claimsFor(set: StatefulSet, podName: string): KubeObject[] {
  return (set.spec.volumeClaimTemplates ?? []).map((claim) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claimName(claim.metadata.name ?? '', podName),
      ...(set.metadata.namespace && { namespace: set.metadata.namespace }),
      labels: { ...claim.metadata.labels, ...set.spec.selector.matchLabels },
      ...(claim.metadata.annotations && { annotations: claim.metadata.annotations }),
    },
    spec: claim.spec,
  }));
}
