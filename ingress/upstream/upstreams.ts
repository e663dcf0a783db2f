import type { Secret } from '../../src/api/kinds/config.ts';
import { secretText } from '../certificates/secrets.ts';
import { connectSocket } from '../net-wire.ts';
import { H2ClientConnection } from '../http/h2-client.ts';
import type { RoutedRequest } from '../relay/context.ts';
import { expand } from '../relay/variables.ts';
import type { UpstreamTls } from '../wire.ts';
import type { EndpointState } from './cluster.ts';
import { H1Pool, type PoolDeps, type PoolOptions } from './pool.ts';
import { UpgradeProxy } from './upgrade-proxy.ts';
import type { OutgoingRequest, UpstreamHandler, UpstreamStream } from './stream.ts';

/** Streams on one HTTP/2 connection before another is opened. */
const H2_STREAMS_PER_CONNECTION = 100;

/** The connections to one endpoint, by how they are secured. */
interface EndpointConnections {
  readonly pools: Map<string, H1Pool>;
  readonly h2: Map<string, Set<H2ClientConnection>>;
}

export interface UpstreamsDeps extends PoolDeps {
  secret(key: string): Secret | undefined;
}

/** All connections to endpoints: HTTP/1.1 pools, HTTP/2 for gRPC, and http-proxy's for WebSockets. */
export class Upstreams implements Disposable {
  readonly #deps: UpstreamsDeps;
  readonly #options: PoolOptions;
  readonly #upgrades = new UpgradeProxy();
  readonly #endpoints = new Map<EndpointState, EndpointConnections>();

  constructor(deps: UpstreamsDeps, options: PoolOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  open(
    endpoint: EndpointState,
    request: RoutedRequest,
    outgoing: OutgoingRequest,
    handler: UpstreamHandler,
    fresh: boolean,
  ): UpstreamStream {
    let connections = this.#endpoints.get(endpoint);
    if (!connections) this.#endpoints.set(endpoint, (connections = { pools: new Map(), h2: new Map() }));
    const { upstream } = request.route.policy;
    const secured = outgoing.scheme === 'https' ? this.#tls(request, outgoing) : undefined;
    const key = secured ? JSON.stringify(secured) : '';
    if (upstream.protocol === 'GRPC' || upstream.protocol === 'GRPCS') {
      return this.#h2(connections, endpoint, key, secured, outgoing).open(outgoing, handler);
    }
    if (outgoing.upgrade === 'websocket' && outgoing.method === 'GET')
      return this.#upgrades.open(endpoint.address, secured, outgoing, handler);
    let pool = connections.pools.get(key);
    if (!pool)
      connections.pools.set(key, (pool = new H1Pool(this.#deps, this.#options, endpoint.address, secured)));
    return pool.open(outgoing, handler, fresh);
  }

  /** The endpoint left its cluster: idle connections close now, the others after their request. */
  retire(endpoint: EndpointState): void {
    const connections = this.#endpoints.get(endpoint);
    this.#endpoints.delete(endpoint);
    for (const pool of connections?.pools.values() ?? []) pool[Symbol.dispose]();
    for (const set of connections?.h2.values() ?? [])
      for (const connection of set) connection[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const endpoint of this.#endpoints.keys()) this.retire(endpoint);
    this.#upgrades[Symbol.dispose]();
  }

  #h2(
    connections: EndpointConnections,
    endpoint: EndpointState,
    key: string,
    secured: UpstreamTls | undefined,
    outgoing: OutgoingRequest,
  ): H2ClientConnection {
    let set = connections.h2.get(key);
    if (!set) connections.h2.set(key, (set = new Set()));
    for (const connection of set)
      if (connection.usable && connection.streamCount < H2_STREAMS_PER_CONNECTION) return connection;
    const owned = set;
    const made: H2ClientConnection = new H2ClientConnection(
      `${outgoing.scheme}://${outgoing.authority === '' ? 'localhost' : outgoing.authority}`,
      () => connectSocket(endpoint.address, secured && { ...secured, alpn: ['h2'] }, () => {}),
      () => owned.delete(made),
    );
    owned.add(made);
    return made;
  }

  /** proxy-ssl-*: nothing is verified unless asked for; then a missing CA refuses every certificate. */
  #tls(request: RoutedRequest, outgoing: OutgoingRequest): UpstreamTls {
    const policy = request.route.policy.upstream.tls;
    const secret = policy?.secret === undefined ? undefined : this.#deps.secret(policy.secret);
    const name =
      policy?.name === undefined ? outgoing.authority.replace(/:\d*$/, '') : expand(policy.name, request);
    const sendsName = policy?.serverName === true || policy?.verify === true;
    return {
      serverName: sendsName && name !== '' && !/^[\d.]+$|^\[/.test(name) ? name : undefined,
      verify: policy?.verify ?? false,
      ca: secretText(secret, 'ca.crt'),
      cert: secretText(secret, 'tls.crt'),
      key: secretText(secret, 'tls.key'),
      alpn: [],
      minVersion: policy?.minVersion,
      ciphers: policy?.ciphers,
    };
  }
}
