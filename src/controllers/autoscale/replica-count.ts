import type { MetricTarget } from '../../api/kinds/autoscaler.ts';
import { isPodReady, type Pod } from '../../api/kinds/pod.ts';
import { parseQuantity } from '../../api/kinds/quantity.ts';
import { isPodFinished } from '../pod-state.ts';

/** Usage within this share of the target changes nothing. */
const TOLERANCE = 0.1;

export interface Measured {
  readonly replicas: number;
  /** Percent of the requests, for a utilization target. */
  readonly utilization?: number;
  /** The average over the pods that were measured, units. */
  readonly average: number;
}

interface MetricQuestion {
  readonly pods: readonly Pod[];
  /** Usage by pod name, units; pods that are not in it were not measured. */
  readonly usage: ReadonlyMap<string, number>;
  readonly resource: string;
  /** Of one container only. */
  readonly container?: string;
  readonly target: MetricTarget;
  readonly currentReplicas: number;
}

/**
 * How many replicas bring the metric to its target (Horizontal Pod Autoscaling, "Algorithm details"). Pods without
 * a measurement are taken to be at their target when scaling down and idle when scaling up, as are pods that are
 * not ready yet: a guess never makes the change larger. A text says why there is no answer.
 */
export function replicasFor(question: MetricQuestion): Measured | string {
  const { usage, target, currentReplicas } = question;
  const counted = question.pods.filter((pod) => !pod.metadata.deletionTimestamp && !isPodFinished(pod));
  const needs = new Map<string, number>();
  for (const pod of counted) {
    const need = needOf(question, pod);
    if (typeof need === 'string') return need;
    needs.set(pod.metadata.name, need);
  }
  const measured = counted.filter((pod) => isPodReady(pod) && usage.has(pod.metadata.name));
  if (measured.length === 0) return 'did not receive metrics for any ready pods';
  const sum = (pods: readonly Pod[], of: (name: string) => number): number =>
    pods.reduce((total, pod) => total + of(pod.metadata.name), 0);
  const used = sum(measured, (name) => usage.get(name) ?? 0);
  const needed = sum(measured, (name) => needs.get(name) ?? 0);
  const ratio = used / needed;
  const result = (replicas: number): Measured => ({
    replicas,
    average: used / measured.length,
    ...(target.type === 'Utilization' && {
      utilization: Math.round(ratio * (target.averageUtilization ?? 100)),
    }),
  });
  const guessed = counted.filter((pod) => !measured.includes(pod));
  if (guessed.length === 0) {
    return result(isClose(ratio) ? currentReplicas : Math.ceil(ratio * measured.length));
  }
  const missing = guessed.filter((pod) => isPodReady(pod));
  const all = ratio > 1 ? counted : [...measured, ...missing];
  const assumed = ratio < 1 ? sum(missing, (name) => needs.get(name) ?? 0) : 0;
  const second = (used + assumed) / sum(all, (name) => needs.get(name) ?? 0);
  if (isClose(second) || ratio > 1 !== second > 1) return result(currentReplicas);
  const replicas = Math.ceil(second * all.length);
  const wrongWay = ratio > 1 ? replicas < currentReplicas : replicas > currentReplicas;
  return result(wrongWay ? currentReplicas : replicas);
}

function isClose(ratio: number): boolean {
  return Math.abs(1 - ratio) <= TOLERANCE;
}

/** What the pod may use: the target itself, or the target's share of what it requests. */
function needOf({ target, resource, container }: MetricQuestion, pod: Pod): number | string {
  const missing = (name: string): string =>
    `failed to get ${resource} utilization: missing request for ${resource} in container ${name} of Pod ${pod.metadata.name}`;
  if (target.type !== 'Utilization') {
    return unitsOf(target.averageValue) ?? `the target of ${resource} has no average value`;
  }
  let requested = 0;
  for (const one of pod.spec.containers) {
    if (container !== undefined && one.name !== container) continue;
    const request = unitsOf(one.resources?.requests?.[resource]);
    if (request === undefined) return missing(one.name);
    requested += request;
  }
  return requested > 0 ? (requested * (target.averageUtilization ?? 0)) / 100 : missing(container ?? '');
}

/** A quantity in units: cores, bytes. */
export function unitsOf(text: unknown): number | undefined {
  const quantity = parseQuantity(text);
  return quantity && Number(quantity.nano) / 1e9;
}
