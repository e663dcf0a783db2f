import { secondTime } from '../api/kinds/lease.ts';
import type { Condition } from '../api/kinds/meta.ts';

/**
 * The list with the condition set; lastTransitionTime moves only when the status does. Pure: a list that would
 * not change is returned as it is.
 */
export function withCondition<T extends Condition>(
  conditions: readonly T[] | undefined,
  next: T,
  nowMs: number,
): T[] {
  const list = conditions ?? [];
  const present = list.find((condition) => condition.type === next.type);
  const same = present?.status === next.status;
  if (present && same && present.reason === next.reason && present.message === next.message) return [...list];
  const lastTransitionTime = (same && present?.lastTransitionTime) || secondTime(nowMs);
  const made = { ...next, lastTransitionTime };
  return present ? list.map((condition) => (condition === present ? made : condition)) : [...list, made];
}

export function withoutCondition<T extends Condition>(
  conditions: readonly T[] | undefined,
  type: string,
): T[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}

export function conditionOf<T extends Condition>(
  conditions: readonly T[] | undefined,
  type: string,
): T | undefined {
  return conditions?.find((condition) => condition.type === type);
}
