import type { HorizontalPodAutoscaler, ScalingRules } from '../../api/kinds/autoscaler.ts';

const PERCENT: NonNullable<ScalingRules['policies']>[number] = {
  type: 'Percent',
  value: 100,
  periodSeconds: 15,
};
const SCALE_UP: Required<ScalingRules> = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [{ type: 'Pods', value: 4, periodSeconds: 15 }, PERCENT],
};
const SCALE_DOWN: Required<ScalingRules> = {
  stabilizationWindowSeconds: 300,
  selectPolicy: 'Max',
  policies: [PERCENT],
};
/** No window or period is longer (the API's own limits). */
const MEMORY_MS = 3_600_000;

/** What an autoscaler remembers between its looks. */
export class ScalingHistory {
  #recommendations: { atMs: number; replicas: number }[] = [];
  #changes: { atMs: number; by: number }[] = [];

  changed(by: number, atMs: number): void {
    this.#changes.push({ atMs, by });
  }

  /** The recommendation kept within the windows, the policies and the bounds, with the name of what held it back. */
  limited(
    { spec }: HorizontalPodAutoscaler,
    question: { readonly current: number; readonly recommended: number; readonly nowMs: number },
  ): { readonly replicas: number; readonly limit?: string } {
    const { current, recommended, nowMs } = question;
    this.#forget(nowMs);
    this.#recommendations.push({ atMs: nowMs, replicas: recommended });
    const up = { ...SCALE_UP, ...spec.behavior?.scaleUp };
    const down = { ...SCALE_DOWN, ...spec.behavior?.scaleDown };
    const stable = this.#stabilized(current, { up, down }, nowMs);
    const { minReplicas = 1, maxReplicas } = spec;
    let replicas = stable;
    if (stable > current) replicas = Math.min(stable, Math.max(current, this.#ceiling(current, up, nowMs)));
    if (stable < current) replicas = Math.max(stable, Math.min(current, this.#floor(current, down, nowMs)));
    if (replicas > maxReplicas) return { replicas: maxReplicas, limit: 'TooManyReplicas' };
    if (replicas < minReplicas) return { replicas: minReplicas, limit: 'TooFewReplicas' };
    if (replicas !== stable) return { replicas, limit: stable > current ? 'ScaleUpLimit' : 'ScaleDownLimit' };
    return { replicas };
  }

  #forget(nowMs: number): void {
    this.#recommendations = this.#recommendations.filter(({ atMs }) => nowMs - atMs < MEMORY_MS);
    this.#changes = this.#changes.filter(({ atMs }) => nowMs - atMs < MEMORY_MS);
  }

  /** Up no further than the lowest recommendation of its window, down no further than the highest of its own. */
  #stabilized(
    current: number,
    { up, down }: { up: Required<ScalingRules>; down: Required<ScalingRules> },
    nowMs: number,
  ): number {
    const within = (seconds: number): number[] =>
      this.#recommendations
        .filter(({ atMs }) => nowMs - atMs <= seconds * 1000)
        .map(({ replicas }) => replicas);
    const lowest = Math.min(...within(up.stabilizationWindowSeconds));
    const highest = Math.max(...within(down.stabilizationWindowSeconds));
    return Math.min(highest, Math.max(lowest, current));
  }

  #ceiling(current: number, { policies, selectPolicy }: Required<ScalingRules>, nowMs: number): number {
    if (selectPolicy === 'Disabled') return current;
    const limits = policies.map(({ type, value, periodSeconds }) => {
      const start = current - this.#changeSince(nowMs - periodSeconds * 1000, 1);
      return type === 'Pods' ? start + value : Math.ceil(start * (1 + value / 100));
    });
    return selectPolicy === 'Min' ? Math.min(...limits) : Math.max(...limits);
  }

  #floor(current: number, { policies, selectPolicy }: Required<ScalingRules>, nowMs: number): number {
    if (selectPolicy === 'Disabled') return current;
    const limits = policies.map(({ type, value, periodSeconds }) => {
      const start = current - this.#changeSince(nowMs - periodSeconds * 1000, -1);
      return type === 'Pods' ? start - value : Math.floor(start * (1 - value / 100));
    });
    return selectPolicy === 'Min' ? Math.max(...limits) : Math.min(...limits);
  }

  #changeSince(sinceMs: number, sign: 1 | -1): number {
    return this.#changes.reduce((sum, { atMs, by }) => (atMs > sinceMs && by * sign > 0 ? sum + by : sum), 0);
  }
}
