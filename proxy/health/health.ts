import type { NodeEntry } from '../../endpoints/snapshot.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Family } from '../../src/net/ip.ts';

/** Set by the cluster autoscaler on nodes it is about to remove: load balancers must stop using them. */
const AUTOSCALER_TAINT = 'ToBeDeletedByClusterAutoscaler';

interface FamilyHealth {
  lastUpdatedMs: number;
  /** When the oldest change that is not applied yet was queued; undefined = none waits. */
  pendingSinceMs: number | undefined;
}

export interface FamilyReport {
  readonly lastUpdated: string;
  readonly healthy: boolean;
}

/** The body of /healthz and /livez as kube-proxy writes it. */
export interface HealthReport {
  readonly lastUpdated: string;
  readonly currentTime: string;
  readonly nodeEligible: boolean;
  readonly healthy: boolean;
  readonly status: Readonly<Partial<Record<Family, FamilyReport>>>;
}

/** Whether changes reach the data plane in time: unhealthy while one has waited longer than the limit. */
export class ProxyHealth {
  readonly #clock: Clock;
  readonly #pendingMaxMs: number;
  readonly #families = new Map<Family, FamilyHealth>();
  readonly #node: () => NodeEntry | undefined;

  readonly #isKnown: () => boolean;

  /** `node` gives this node's entry; undefined means that it is gone, when nodes are known at all. */
  constructor(
    deps: {
      readonly clock: Clock;
      readonly node: () => NodeEntry | undefined;
      readonly isKnown: () => boolean;
    },
    options: { readonly families: readonly Family[]; readonly pendingMaxMs: number },
  ) {
    this.#clock = deps.clock;
    this.#node = deps.node;
    this.#isKnown = deps.isKnown;
    this.#pendingMaxMs = options.pendingMaxMs;
    for (const family of options.families)
      this.#families.set(family, { lastUpdatedMs: 0, pendingSinceMs: undefined });
  }

  queued(): void {
    const nowMs = this.#clock.nowMs();
    for (const health of this.#families.values()) health.pendingSinceMs ??= nowMs;
  }

  /** `startedMs`: when the sync began; a change queued later still waits. */
  updated(family: Family, startedMs: number): void {
    const health = this.#families.get(family);
    if (!health) return;
    health.lastUpdatedMs = this.#clock.nowMs();
    if (health.pendingSinceMs !== undefined && health.pendingSinceMs <= startedMs)
      health.pendingSinceMs = undefined;
  }

  get healthy(): boolean {
    return [...this.#families.values()].every((health) => this.#inTime(health));
  }

  /** False when the node is gone, being deleted or about to be removed. */
  get nodeEligible(): boolean {
    const node = this.#node();
    if (!node && !this.#isKnown()) return true;
    return node !== undefined && !node.deleting && !node.taints.some((taint) => isAutoscalerTaint(taint));
  }

  report(): HealthReport {
    const healths = [...this.#families];
    const { healthy, nodeEligible } = this;
    const lastMs = Math.max(...healths.map(([, { lastUpdatedMs }]) => lastUpdatedMs));
    return {
      lastUpdated: text(lastMs),
      currentTime: text(this.#clock.nowMs()),
      nodeEligible,
      healthy,
      status: Object.fromEntries(
        healths.map(([family, health]) => [
          family,
          { lastUpdated: text(health.lastUpdatedMs), healthy: this.#inTime(health) },
        ]),
      ),
    };
  }

  #inTime({ pendingSinceMs }: FamilyHealth): boolean {
    return pendingSinceMs === undefined || this.#clock.nowMs() - pendingSinceMs < this.#pendingMaxMs;
  }
}

function isAutoscalerTaint(taint: string): boolean {
  return taint.startsWith(`${AUTOSCALER_TAINT}=`) || taint.startsWith(`${AUTOSCALER_TAINT}:`);
}

function text(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
