import { isPodReady, type Pod, readyConditionOf } from '../api/kinds/pod.ts';

/** Neither finished nor going away. */
export function isPodActive(pod: Pod): boolean {
  return !isPodFinished(pod) && pod.metadata.deletionTimestamp === undefined;
}

export function isPodFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** When the pod will have been ready for minReadySeconds, ms since the epoch; undefined while it is not ready. */
export function availableAtMs(pod: Pod, minReadySeconds: number): number | undefined {
  if (!isPodReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  const since = readyConditionOf(pod)?.lastTransitionTime;
  return since === undefined ? undefined : Date.parse(since) + minReadySeconds * 1000;
}

export function isPodAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  const atMs = availableAtMs(pod, minReadySeconds);
  return atMs !== undefined && atMs <= nowMs;
}

/** The earliest moment a ready pod becomes available; undefined when none is waiting for that. */
export function nextAvailableMs(
  pods: Iterable<Pod>,
  minReadySeconds: number,
  nowMs: number,
): number | undefined {
  let next: number | undefined;
  for (const pod of pods) {
    const atMs = availableAtMs(pod, minReadySeconds);
    if (atMs !== undefined && atMs > nowMs && (next === undefined || atMs < next)) next = atMs;
  }
  return next;
}

const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

/**
 * The order in which surplus pods go, first to go first: unassigned before assigned, pending before running, not
 * ready before ready, lower deletion cost, more siblings on the node, shorter ready, more restarts, younger.
 */
export function deletionOrder(pods: readonly Pod[], siblings: readonly Pod[] = pods): Pod[] {
  const onNode = new Map<string, number>();
  for (const pod of siblings) {
    const node = pod.spec.nodeName ?? '';
    onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  const ranks = (pod: Pod): number[] => [
    pod.spec.nodeName ? 1 : 0,
    phaseRank(pod),
    isPodReady(pod) ? 1 : 0,
    deletionCost(pod),
    -(onNode.get(pod.spec.nodeName ?? '') ?? 0),
    -readySinceMs(pod),
    -restarts(pod),
    -Date.parse(pod.metadata.creationTimestamp ?? ''),
  ];
  const ranked = pods.map((pod) => ({ pod, ranks: ranks(pod) }));
  ranked.sort(
    (a, b) => compareRanks(a.ranks, b.ranks) || (a.pod.metadata.name < b.pod.metadata.name ? -1 : 1),
  );
  return ranked.map(({ pod }) => pod);
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [i, rank] of a.entries()) {
    const difference = rank - (b[i] ?? 0);
    if (difference) return difference; // NaN (no time) compares as equal
  }
  return 0;
}

function phaseRank(pod: Pod): number {
  return pod.status?.phase === 'Running' ? 2 : pod.status?.phase === 'Unknown' ? 1 : 0;
}

function deletionCost(pod: Pod): number {
  const cost = Number(pod.metadata.annotations?.[DELETION_COST] ?? 0);
  return Number.isInteger(cost) ? cost : 0;
}

function readySinceMs(pod: Pod): number {
  return Date.parse(readyConditionOf(pod)?.lastTransitionTime ?? '');
}

function restarts(pod: Pod): number {
  return Math.max(0, ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount));
}
