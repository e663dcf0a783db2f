import type { DaemonSet } from '../../api/kinds/apps.ts';
import type { Node } from '../../api/kinds/node.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { podFromTemplate } from '../pod-control.ts';
import { matchesNode, nodeTaints, tolerates } from '../nodes/scheduler-fit.ts';
import { REVISION_HASH } from './stateful-set-revisions.ts';

type Tolerations = NonNullable<Pod['spec']['tolerations']>;

/** Daemons run on nodes in trouble, too (DaemonSet documentation, "Taints and tolerations"). */
const DAEMON_TOLERATIONS: Tolerations = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];
const HOST_NETWORK_TOLERATIONS: Tolerations = [
  { key: 'node.kubernetes.io/network-unavailable', operator: 'Exists', effect: 'NoSchedule' },
];

const NAME_FIELD = 'metadata.name';

interface NodeAffinity {
  readonly requiredDuringSchedulingIgnoredDuringExecution?: {
    readonly nodeSelectorTerms?: readonly {
      readonly matchExpressions?: unknown;
      readonly matchFields?: readonly {
        readonly key: string;
        readonly operator: string;
        readonly values?: readonly string[];
      }[];
    }[];
  };
}

/** What the template becomes on one node: its tolerations, pinned by affinity so that the scheduler binds it. */
export function daemonPod(set: DaemonSet, nodeName: string, hash: string): Pod {
  const pod = podFromTemplate(set, set.spec.template);
  const affinity = pod.spec.affinity ?? {};
  const nodeAffinity = affinity['nodeAffinity'] as NodeAffinity | undefined;
  const term = { matchFields: [{ key: NAME_FIELD, operator: 'In', values: [nodeName] }] };
  // Terms are alternatives: each one is narrowed to the node.
  const terms = nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms?.map(
    (one) => ({ ...one, matchFields: term.matchFields }),
  );
  const required = { nodeSelectorTerms: terms?.length ? terms : [term] };
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata.labels,
        [REVISION_HASH]: hash,
        'pod-template-generation': String(set.metadata.generation ?? 1),
      },
    },
    spec: {
      ...pod.spec,
      affinity: {
        ...affinity,
        nodeAffinity: { ...nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: required },
      },
      tolerations: daemonTolerations(pod),
    },
  };
}

function daemonTolerations(pod: Pod): Tolerations {
  const own = pod.spec.tolerations ?? [];
  const wanted = pod.spec.hostNetwork
    ? [...DAEMON_TOLERATIONS, ...HOST_NETWORK_TOLERATIONS]
    : DAEMON_TOLERATIONS;
  const missing = wanted.filter(
    (one) =>
      !own.some((has) => has.key === one.key && has.effect === one.effect && has.operator === one.operator),
  );
  return [...own, ...missing];
}

/** The node a daemon is on, or is meant for while it waits for the scheduler. */
export function daemonNode(pod: Pod): string | undefined {
  if (pod.spec.nodeName) return pod.spec.nodeName;
  const nodeAffinity = pod.spec.affinity?.['nodeAffinity'] as NodeAffinity | undefined;
  const terms = nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const field = terms[0]?.matchFields?.find(({ key, operator }) => key === NAME_FIELD && operator === 'In');
  return field?.values?.[0];
}

/** Whether the set wants a daemon on the node, and whether one that is there may stay. */
export interface Placement {
  readonly run: boolean;
  readonly stay: boolean;
}

/** Resources are not asked: a daemon waits for room on its node, it does not look for another. */
export function placementOn(set: DaemonSet, node: Node): Placement {
  const { template } = set.spec;
  const pinned = template.spec.nodeName;
  const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: '' }, spec: template.spec };
  if ((pinned && pinned !== node.metadata.name) || !matchesNode(pod, node))
    return { run: false, stay: false };
  const tolerations = daemonTolerations(pod);
  const repelling = nodeTaints(node).filter(
    (taint) => taint.effect !== 'PreferNoSchedule' && !tolerates(tolerations, taint),
  );
  return {
    run: repelling.length === 0,
    stay: !repelling.some((taint) => taint.effect === 'NoExecute'),
  };
}
