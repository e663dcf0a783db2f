import type { Condition, IntOrString, KubeObject, LabelSelector } from './meta.ts';

/** policy/v1 PodDisruptionBudget. */
export interface PodDisruptionBudget extends KubeObject {
  spec: {
    minAvailable?: IntOrString;
    maxUnavailable?: IntOrString;
    selector?: LabelSelector;
    unhealthyPodEvictionPolicy?: 'IfHealthyBudget' | 'AlwaysAllow';
  };
  status?: {
    observedGeneration?: number;
    disruptionsAllowed?: number;
    currentHealthy?: number;
    desiredHealthy?: number;
    expectedPods?: number;
    /** Pods whose eviction was granted and which are still there: name to the time of the grant. */
    disruptedPods?: Record<string, string>;
    conditions?: Condition[];
  };
}
