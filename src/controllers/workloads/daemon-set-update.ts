import type { DaemonSet } from '../../api/kinds/apps.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { scaledValue } from '../scaled-value.ts';
import { REVISION_HASH } from './stateful-set-revisions.ts';

/** What one round does: pods to delete, nodes that get a (further) daemon. */
export interface DaemonPlan {
  readonly remove: readonly Pod[];
  readonly create: readonly string[];
}

export interface DaemonNode {
  readonly name: string;
  /** The set's pods on or for the node, those going away included. */
  readonly pods: readonly Pod[];
}

interface Judgement {
  /** The newest revision's hash. */
  readonly hash: string;
  readonly isAvailable: (pod: Pod) => boolean;
}

/** How many daemons may be missing, and how many may be there twice, of `desired`. */
export function updateLimits(set: DaemonSet, desired: number): { maxUnavailable: number; maxSurge: number } {
  const rolling = set.spec.updateStrategy?.rollingUpdate;
  return {
    maxUnavailable: scaledValue(rolling?.maxUnavailable ?? 1, desired, 'up'),
    maxSurge: scaledValue(rolling?.maxSurge ?? 0, desired, 'up'),
  };
}

/** The node's newest daemon of the present template, and its oldest of an earlier one. */
function sides(node: DaemonNode, { hash }: Judgement): { next: Pod | undefined; old: Pod | undefined } {
  const alive = node.pods.filter((pod) => !pod.metadata.deletionTimestamp);
  return {
    next: alive.find((pod) => pod.metadata.labels?.[REVISION_HASH] === hash),
    old: alive.find((pod) => pod.metadata.labels?.[REVISION_HASH] !== hash),
  };
}

/** A rolling update's next step over the nodes that should run a daemon. */
export function planUpdate(set: DaemonSet, nodes: readonly DaemonNode[], judgement: Judgement): DaemonPlan {
  if (set.spec.updateStrategy?.type === 'OnDelete') return { remove: [], create: [] };
  const { maxUnavailable, maxSurge } = updateLimits(set, nodes.length);
  return maxSurge > 0
    ? surge(nodes, judgement, maxSurge)
    : replace(nodes, judgement, Math.max(1, maxUnavailable));
}

/** Old daemons go first, at most maxUnavailable nodes without an available one; broken ones go at once. */
function replace(nodes: readonly DaemonNode[], judgement: Judgement, maxUnavailable: number): DaemonPlan {
  const broken: Pod[] = [];
  const candidates: Pod[] = [];
  let unavailable = 0;
  for (const node of nodes) {
    const { next, old } = sides(node, judgement);
    const available = [next, old].some((pod) => pod && judgement.isAvailable(pod));
    if (!available) unavailable++;
    if (!old) continue;
    if (judgement.isAvailable(old)) candidates.push(old);
    else broken.push(old);
  }
  const room = Math.max(0, maxUnavailable - unavailable);
  return { remove: [...broken, ...candidates.slice(0, room)], create: [] };
}

/** New daemons come first, at most maxSurge at a time; the old one goes when its successor is available. */
function surge(nodes: readonly DaemonNode[], judgement: Judgement, maxSurge: number): DaemonPlan {
  const remove: Pod[] = [];
  const urgent: string[] = [];
  const candidates: string[] = [];
  let surging = 0;
  for (const node of nodes) {
    const { next, old } = sides(node, judgement);
    if (!old) continue;
    if (next && judgement.isAvailable(next)) remove.push(old);
    else if (next) surging++;
    else if (judgement.isAvailable(old)) candidates.push(node.name);
    else urgent.push(node.name);
  }
  const room = Math.max(0, maxSurge - surging);
  return { remove, create: [...urgent, ...candidates.slice(0, room)] };
}
