import type { Target } from '../compile/route.ts';
import type { RoutedRequest } from '../relay/context.ts';
import type { RequestRecord } from '../relay/record.ts';
import type { Choice } from '../relay/services.ts';
import type { EndpointState } from '../upstream/cluster.ts';
import type { Cluster } from '../upstream/clusters.ts';

/** Decides which backend and which endpoint serve a request. */
export class Chooser {
  target(request: RoutedRequest, _record: RequestRecord): { target: Target } {
    return { target: request.route.target };
  }

  choose(_request: RoutedRequest, cluster: Cluster, _canary: string, _startedMs: number): Choice {
    return new RoundRobinChoice(cluster);
  }
}

class RoundRobinChoice implements Choice {
  readonly #cluster: Cluster;
  readonly cookie = undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  pick(tried: readonly EndpointState[]): EndpointState | undefined {
    const { endpoints } = this.#cluster;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[this.#cluster.cursor++ % endpoints.length]!;
      if (!tried.includes(endpoint)) return endpoint;
    }
    return undefined;
  }

  hasAnother(tried: readonly EndpointState[]): boolean {
    return this.#cluster.endpoints.some((endpoint) => !tried.includes(endpoint));
  }

  reason(): string {
    return this.#cluster.reason ?? 'no endpoints';
  }
  started(): void {}
  connected(): void {}
  answered(): void {}
  failed(): void {}
  finished(): void {}
}
