import { noteFailure } from '../balance/health.ts';
import type { HealthPolicy } from '../policy.ts';
import type { WorkerEndpoint } from './endpoints.ts';
import { UpstreamConnection } from './upstream-connection.ts';
import type { WorkerContext } from './worker-context.ts';

/** The endpoint where the request under way counts, and the way to a connection of it. */
export class EndpointSeat {
  readonly #context: WorkerContext;
  #endpoint: WorkerEndpoint | undefined;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  get endpoint(): WorkerEndpoint | undefined {
    return this.#endpoint;
  }

  take(endpoint: WorkerEndpoint): void {
    this.#endpoint = endpoint;
    endpoint.active++;
    endpoint.requests++;
  }

  leave(): void {
    if (this.#endpoint) this.#endpoint.active--;
    this.#endpoint = undefined;
  }

  /** `look`: what must not be sent twice goes only to a connection that has not ended meanwhile. */
  takeIdle(look: boolean): UpstreamConnection | undefined {
    for (;;) {
      const connection = this.#endpoint?.idle.pop();
      if (!connection) return undefined;
      this.#context.idleBudget.count--;
      if (!look || connection.isAlive()) return connection;
      connection.close();
    }
  }

  /** A connection that begins now, or why not even that. */
  dial(): UpstreamConnection | number {
    return UpstreamConnection.dial(this.#context, this.#endpoint!);
  }

  /** The endpoint is not well, or its answer says so. */
  noteFailure(cluster: string, health: HealthPolicy): void {
    const endpoint = this.#endpoint;
    const nowMs = this.#context.nowMs();
    if (!endpoint || !noteFailure(endpoint, nowMs, health)) return;
    const forMs = endpoint.ejectedUntilMs - nowMs;
    this.#context.post({ kind: 'ejected', cluster, endpoint: endpoint.id, forMs });
  }
}
