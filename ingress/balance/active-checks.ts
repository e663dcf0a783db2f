import { Agent } from 'undici';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import type { ActiveCheckPolicy } from '../policy.ts';
import type { EndpointState } from '../upstream/cluster.ts';
import type { Cluster } from '../upstream/clusters.ts';

interface Watched {
  readonly policy: ActiveCheckPolicy;
  timer: Disposable | undefined;
}

/** Checks of one endpoint in a row that said the same. */
interface Streak {
  healthy: boolean;
  count: number;
}

/**
 * Active health checks: asks every endpoint of a backend for a path at an interval. Enough failures in a row take
 * an endpoint out of balancing, enough successes bring it back; new endpoints count as healthy.
 */
export class ActiveChecks implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #agent = new Agent({ connections: 1, pipelining: 0, connect: { rejectUnauthorized: false } });
  readonly #watched = new Map<Cluster, Watched>();
  readonly #streaks = new WeakMap<EndpointState, Streak>();

  constructor(deps: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /** Keeps a backend checked from now on; called with every request, so it has to be cheap. */
  watch(cluster: Cluster, policy: ActiveCheckPolicy): void {
    const known = this.#watched.get(cluster);
    if (known?.policy === policy) return;
    known?.timer?.[Symbol.dispose]();
    const watched: Watched = { policy, timer: undefined };
    this.#watched.set(cluster, watched);
    this.#next(cluster, watched, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { timer } of this.#watched.values()) timer?.[Symbol.dispose]();
    this.#watched.clear();
    await this.#agent.destroy();
  }

  #next(cluster: Cluster, watched: Watched, delayMs: number): void {
    watched.timer = this.#clock.setTimer(delayMs, () => {
      void Promise.all(
        cluster.endpoints.map((endpoint) => this.#check(cluster, endpoint, watched.policy)),
      ).then(() => {
        if (this.#watched.get(cluster) !== watched) return;
        if (cluster.forgotten) this.#watched.delete(cluster);
        else this.#next(cluster, watched, watched.policy.intervalMs);
      });
    });
  }

  async #check(cluster: Cluster, endpoint: EndpointState, policy: ActiveCheckPolicy): Promise<void> {
    const passed = await this.#ask(cluster, endpoint, policy);
    let streak = this.#streaks.get(endpoint);
    if (!streak) this.#streaks.set(endpoint, (streak = { healthy: passed, count: 0 }));
    if (streak.healthy !== passed) {
      streak.healthy = passed;
      streak.count = 0;
    }
    streak.count++;
    if (passed === endpoint.healthy) return;
    if (streak.count < (passed ? policy.healthyCount : policy.unhealthyCount)) return;
    endpoint.healthy = passed;
    this.#log.warn(passed ? 'endpoint passes its checks again' : 'endpoint fails its checks', {
      backend: cluster.key,
      endpoint: endpoint.id,
    });
  }

  async #ask(cluster: Cluster, endpoint: EndpointState, policy: ActiveCheckPolicy): Promise<boolean> {
    try {
      const answer = await this.#agent.request({
        origin: `${policy.tls ? 'https' : 'http'}://${endpoint.id}`,
        path: policy.path,
        method: 'GET',
        headers: { host: policy.host ?? cluster.backend.service, 'user-agent': 'weft-health-check' },
        headersTimeout: policy.timeoutMs,
        bodyTimeout: policy.timeoutMs,
        signal: AbortSignal.timeout(policy.timeoutMs),
      });
      await answer.body.dump();
      return answer.statusCode >= 200 && answer.statusCode < 400;
    } catch {
      return false; // no answer in time is the answer
    }
  }
}
