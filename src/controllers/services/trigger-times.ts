import { objectKey } from '../../api/kinds/meta.ts';
import { type Pod, readyConditionOf } from '../../api/kinds/pod.ts';
import type { Service } from '../../api/kinds/service.ts';

interface Seen {
  serviceMs: number;
  pods: Map<string, number>;
}

/**
 * When the change behind a slice update happened: the earliest of the pods' and the service's changes since the
 * last look. It feeds the programming latency metrics of whoever reads the slices.
 */
export class TriggerTimes {
  readonly #seen = new Map<string, Seen>();

  /** RFC 3339 with milliseconds, undefined when nothing changed since the last call for the service. */
  next(service: Service, pods: readonly Pod[]): string | undefined {
    const key = objectKey(service);
    const old = this.#seen.get(key);
    const seen: Seen = { serviceMs: Date.parse(service.metadata.creationTimestamp ?? ''), pods: new Map() };
    const changes: number[] = [];
    if (old?.serviceMs !== seen.serviceMs) changes.push(seen.serviceMs);
    for (const pod of pods) {
      const ms = podChangeMs(pod);
      seen.pods.set(pod.metadata.name, ms);
      if (ms > (old?.pods.get(pod.metadata.name) ?? 0)) changes.push(ms);
    }
    this.#seen.set(key, seen);
    const known = changes.filter((ms) => Number.isFinite(ms));
    return known.length > 0 ? new Date(Math.min(...known)).toISOString() : undefined;
  }

  forget(serviceKey: string): void {
    this.#seen.delete(serviceKey);
  }
}

function podChangeMs(pod: Pod): number {
  if (pod.metadata.deletionTimestamp) return Date.parse(pod.metadata.deletionTimestamp);
  return Date.parse(readyConditionOf(pod)?.lastTransitionTime ?? pod.metadata.creationTimestamp ?? '');
}
