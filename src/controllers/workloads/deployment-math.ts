import { scaledValue } from '../scaled-value.ts';
import type { Deployment, ReplicaSet } from '../../api/kinds/apps.ts';

/** Surge and unavailability in pods. Both zero would never move: then one may be unavailable. */
export function rollingLimits(deployment: Deployment): { maxSurge: number; maxUnavailable: number } {
  const replicas = desiredReplicas(deployment);
  if (deployment.spec.strategy?.type === 'Recreate' || replicas === 0)
    return { maxSurge: 0, maxUnavailable: 0 };
  const rolling = deployment.spec.strategy?.rollingUpdate;
  const maxSurge = scaledValue(rolling?.maxSurge ?? '25%', replicas, 'up');
  const maxUnavailable = scaledValue(rolling?.maxUnavailable ?? '25%', replicas, 'down');
  if (maxSurge === 0 && maxUnavailable === 0) return { maxSurge, maxUnavailable: 1 };
  return { maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) };
}

export function desiredReplicas(deployment: Deployment): number {
  return deployment.spec.replicas ?? 1;
}

export function sumReplicas(sets: readonly ReplicaSet[]): number {
  return sets.reduce((sum, set) => sum + replicasOf(set), 0);
}

export function replicasOf(set: ReplicaSet): number {
  return set.spec.replicas ?? 1;
}

/** How many replicas the new set may have now in a rolling update. */
export function newSetReplicas(deployment: Deployment, all: readonly ReplicaSet[], next: ReplicaSet): number {
  const wanted = desiredReplicas(deployment);
  const present = replicasOf(next);
  if (deployment.spec.strategy?.type === 'Recreate') return wanted;
  if (present > wanted) return wanted;
  const room = wanted + rollingLimits(deployment).maxSurge - sumReplicas(all);
  return room <= 0 ? present : present + Math.min(room, wanted - present);
}

/**
 * The old sets' next replica counts in a rolling update, only those that change. Unhealthy pods go first; healthy
 * ones only while more than the floor are available.
 */
export function oldSetReplicas(
  deployment: Deployment,
  old: readonly ReplicaSet[],
  next: ReplicaSet,
): Map<ReplicaSet, number> {
  const changes = new Map<ReplicaSet, number>();
  const floor = desiredReplicas(deployment) - rollingLimits(deployment).maxUnavailable;
  const unavailable = replicasOf(next) - (next.status?.availableReplicas ?? 0);
  let room = sumReplicas([...old, next]) - floor - unavailable;
  if (room <= 0) return changes;
  const at = (set: ReplicaSet): number => changes.get(set) ?? replicasOf(set);
  const oldestFirst = [...old].sort(byAge);
  for (const set of oldestFirst) {
    const unhealthy = replicasOf(set) - (set.status?.availableReplicas ?? 0);
    const count = Math.min(room, unhealthy, replicasOf(set));
    if (count <= 0) continue;
    changes.set(set, replicasOf(set) - count);
    room -= count;
  }
  let spare = [...old, next].reduce((sum, set) => sum + (set.status?.availableReplicas ?? 0), 0) - floor;
  for (const set of oldestFirst) {
    const count = Math.min(spare, at(set), room);
    if (count <= 0) continue;
    changes.set(set, at(set) - count);
    spare -= count;
    room -= count;
  }
  return changes;
}

/**
 * Spreads a change of spec.replicas over the sets of a roll-out under way in proportion to their size, so that
 * a bad new set does not get all of it. `maxReplicas` is the annotated size each set was last scaled for.
 */
export function proportionalReplicas(
  deployment: Deployment,
  active: readonly ReplicaSet[],
  maxReplicasOf: (set: ReplicaSet) => number,
): Map<ReplicaSet, number> {
  const wanted = desiredReplicas(deployment);
  const allowed = wanted > 0 ? wanted + rollingLimits(deployment).maxSurge : 0;
  const total = sumReplicas(active);
  const toAdd = allowed - total;
  const ordered = [...active].sort(
    (a, b) => replicasOf(b) - replicasOf(a) || (toAdd > 0 ? byAge(b, a) : byAge(a, b)),
  );
  const result = new Map<ReplicaSet, number>();
  let added = 0;
  for (const set of ordered) {
    const fraction = wanted === 0 ? -replicasOf(set) : scaledShare(set, allowed, maxReplicasOf(set));
    const left = toAdd - added;
    const share = toAdd > 0 ? clamp(fraction, 0, left) : clamp(fraction, left, 0);
    result.set(set, replicasOf(set) + (toAdd === 0 ? 0 : share));
    added += toAdd === 0 ? 0 : share;
  }
  const first = ordered[0];
  if (first) result.set(first, Math.max(0, (result.get(first) ?? 0) + toAdd - added));
  return result;
}

function scaledShare(set: ReplicaSet, allowed: number, maxReplicas: number): number {
  if (maxReplicas <= 0) return 0;
  return Math.round((replicasOf(set) * allowed) / maxReplicas) - replicasOf(set);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Oldest first. */
export function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const left = Date.parse(a.metadata.creationTimestamp ?? '') || 0;
  const right = Date.parse(b.metadata.creationTimestamp ?? '') || 0;
  return left - right || (a.metadata.name < b.metadata.name ? -1 : 1);
}
