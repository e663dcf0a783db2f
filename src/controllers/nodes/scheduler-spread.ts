import type { LabelSelector } from '../../api/kinds/meta.ts';
import type { Node } from '../../api/kinds/node.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { selects } from '../label-selector.ts';
import { matchesNode, type NodeLoad, tolerates } from './scheduler-fit.ts';

interface PodAffinityTerm {
  readonly labelSelector?: LabelSelector;
  readonly namespaces?: readonly string[];
  readonly topologyKey: string;
}

interface PodAffinity {
  readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly PodAffinityTerm[];
  readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly {
    readonly weight: number;
    readonly podAffinityTerm: PodAffinityTerm;
  }[];
}

interface SpreadConstraint {
  readonly maxSkew: number;
  readonly topologyKey: string;
  readonly whenUnsatisfiable: string;
  readonly labelSelector?: LabelSelector;
}

type Placement = 'podAffinity' | 'podAntiAffinity';

function affinityOf(pod: Pod, which: Placement): PodAffinity {
  return (
    ((pod.spec.affinity as Record<Placement, PodAffinity | undefined> | undefined) ?? {})[which as never] ??
    {}
  );
}

/** Why the pods that run already keep this one from the node; undefined when they do not. */
export function misplacedReason(pod: Pod, load: NodeLoad, all: readonly NodeLoad[]): string | undefined {
  const { node } = load;
  for (const term of affinityOf(pod, 'podAffinity').requiredDuringSchedulingIgnoredDuringExecution ?? []) {
    if (countIn(domain(node, term.topologyKey, all), pod, term) > 0) continue;
    // The first pod of a group that wants to be together has nobody to join.
    const first = countIn(all, pod, term) === 0 && selects(term.labelSelector, pod.metadata.labels);
    if (!first || node.metadata.labels?.[term.topologyKey] === undefined) {
      return "node(s) didn't match pod affinity rules";
    }
  }
  for (const term of affinityOf(pod, 'podAntiAffinity').requiredDuringSchedulingIgnoredDuringExecution ??
    []) {
    if (countIn(domain(node, term.topologyKey, all), pod, term) > 0) {
      return "node(s) didn't match pod anti-affinity rules";
    }
  }
  if (isRepelled(pod, load, all)) return "node(s) didn't satisfy existing pods anti-affinity rules";
  return isSkewed(pod, load, all) ? "node(s) didn't match pod topology spread constraints" : undefined;
}

/** Preferred affinity and spreading of like pods: higher is better. */
export function placementScore(pod: Pod, load: NodeLoad, all: readonly NodeLoad[]): number {
  let score = 0;
  for (const which of ['podAffinity', 'podAntiAffinity'] as const) {
    const sign = which === 'podAffinity' ? 1 : -1;
    for (const preferred of affinityOf(pod, which).preferredDuringSchedulingIgnoredDuringExecution ?? []) {
      const { topologyKey } = preferred.podAffinityTerm;
      const count = countIn(domain(load.node, topologyKey, all), pod, preferred.podAffinityTerm);
      score += sign * preferred.weight * Math.min(count, 10);
    }
  }
  const owner = pod.metadata.ownerReferences?.[0]?.uid;
  const siblings = owner
    ? load.pods.filter((other) => other.metadata.ownerReferences?.[0]?.uid === owner).length
    : 0;
  return score - siblings * 10;
}

function domain(node: Node, topologyKey: string, all: readonly NodeLoad[]): NodeLoad[] {
  const value = node.metadata.labels?.[topologyKey];
  if (value === undefined) return [];
  return all.filter((load) => load.node.metadata.labels?.[topologyKey] === value);
}

function countIn(loads: readonly NodeLoad[], pod: Pod, term: PodAffinityTerm): number {
  const namespaces = term.namespaces?.length ? term.namespaces : [pod.metadata.namespace ?? ''];
  let count = 0;
  for (const load of loads) {
    for (const other of load.pods) {
      if (!namespaces.includes(other.metadata.namespace ?? '')) continue;
      if (!other.metadata.deletionTimestamp && selects(term.labelSelector, other.metadata.labels)) count++;
    }
  }
  return count;
}

/** A pod that runs in the node's domain refuses pods like this one. */
function isRepelled(pod: Pod, load: NodeLoad, all: readonly NodeLoad[]): boolean {
  for (const other of all) {
    for (const present of other.pods) {
      const terms =
        affinityOf(present, 'podAntiAffinity').requiredDuringSchedulingIgnoredDuringExecution ?? [];
      for (const term of terms) {
        const namespaces = term.namespaces?.length ? term.namespaces : [present.metadata.namespace ?? ''];
        const value = other.node.metadata.labels?.[term.topologyKey];
        if (value === undefined || load.node.metadata.labels?.[term.topologyKey] !== value) continue;
        if (!namespaces.includes(pod.metadata.namespace ?? '')) continue;
        if (selects(term.labelSelector, pod.metadata.labels)) return true;
      }
    }
  }
  return false;
}

/** topologySpreadConstraints with DoNotSchedule. */
function isSkewed(pod: Pod, load: NodeLoad, all: readonly NodeLoad[]): boolean {
  const constraints = (pod.spec.topologySpreadConstraints as SpreadConstraint[] | undefined) ?? [];
  for (const constraint of constraints) {
    if (constraint.whenUnsatisfiable !== 'DoNotSchedule') continue;
    const { topologyKey, labelSelector, maxSkew } = constraint;
    const mine = load.node.metadata.labels?.[topologyKey];
    if (mine === undefined) return true;
    const counts = new Map<string, number>();
    for (const other of all) {
      const value = other.node.metadata.labels?.[topologyKey];
      if (value === undefined || !isCandidate(pod, other.node)) continue;
      const term: PodAffinityTerm = { topologyKey, ...(labelSelector && { labelSelector }) };
      counts.set(value, (counts.get(value) ?? 0) + countIn([other], pod, term));
    }
    const least = Math.min(...counts.values());
    const self = selects(labelSelector, pod.metadata.labels) ? 1 : 0;
    if ((counts.get(mine) ?? 0) + self - least > maxSkew) return true;
  }
  return false;
}

function isCandidate(pod: Pod, node: Node): boolean {
  const taints = node.spec?.taints ?? [];
  return (
    matchesNode(pod, node) &&
    taints.every((taint) => taint.effect === 'PreferNoSchedule' || tolerates(pod.spec.tolerations, taint))
  );
}
