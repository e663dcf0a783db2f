import type { RoutedRequest } from '../relay/context.ts';
import type { EndpointState } from './cluster.ts';
import { H1Pool, type PoolDeps, type PoolOptions } from './pool.ts';
import type { OutgoingRequest, UpstreamHandler, UpstreamStream } from './stream.ts';

/** All connections to endpoints, by endpoint and by how they are secured. */
export class Upstreams implements Disposable {
  readonly #deps: PoolDeps;
  readonly #options: PoolOptions;
  readonly #pools = new Map<EndpointState, H1Pool>();

  constructor(deps: PoolDeps, options: PoolOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  open(
    endpoint: EndpointState,
    _request: RoutedRequest,
    outgoing: OutgoingRequest,
    handler: UpstreamHandler,
    fresh: boolean,
  ): UpstreamStream {
    let pool = this.#pools.get(endpoint);
    if (!pool) {
      pool = new H1Pool(this.#deps, this.#options, endpoint.address, undefined);
      this.#pools.set(endpoint, pool);
    }
    return pool.open(outgoing, handler, fresh);
  }

  /** The endpoint left its cluster. */
  retire(endpoint: EndpointState): void {
    this.#pools.get(endpoint)?.[Symbol.dispose]();
    this.#pools.delete(endpoint);
  }

  [Symbol.dispose](): void {
    for (const pool of this.#pools.values()) pool[Symbol.dispose]();
    this.#pools.clear();
  }
}
