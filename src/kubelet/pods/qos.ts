import type { Container, Pod } from '../../api/kinds/pod.ts';
import { quantityValue } from '../environment/quantity.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const RESOURCES = ['cpu', 'memory'];

/** Guaranteed: cpu and memory limits everywhere, requests equal to them. BestEffort: neither anywhere. */
export function qosClass(pod: Pod): QosClass {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  if (!containers.some(asksForAnything)) return 'BestEffort';
  return containers.every(isGuaranteed) ? 'Guaranteed' : 'Burstable';
}

function asksForAnything({ resources }: Container): boolean {
  return RESOURCES.some(
    (name) => positive(resources?.requests?.[name]) || positive(resources?.limits?.[name]),
  );
}

function isGuaranteed({ resources }: Container): boolean {
  return RESOURCES.every((name) => {
    const limit = resources?.limits?.[name];
    const request = resources?.requests?.[name] ?? limit;
    return positive(limit) && quantityValue(limit ?? '') === quantityValue(request ?? '');
  });
}

function positive(quantity: string | undefined): boolean {
  return quantity !== undefined && (quantityValue(quantity) ?? 0) > 0;
}

/** Who goes first when memory runs out: pods without promises, then those with some, the kubelet last. */
export const OOM_SCORE_ADJUST: Readonly<Record<QosClass, number>> = {
  Guaranteed: 300,
  Burstable: 600,
  BestEffort: 1000,
};
