import { H1ClientConnection, type H1ClientOwner } from '../http/h1-client.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import type { Address, Connector, UpstreamTls } from '../wire.ts';
import type { OutgoingRequest, UpstreamHandler, UpstreamStream } from './stream.ts';

export interface PoolOptions {
  readonly idleMs: number;
  readonly requestsMax: number;
}

/** Counts the idle connections of all pools of one worker against one limit. */
export class IdleBudget {
  readonly max: number;
  count = 0;

  constructor(max: number) {
    this.max = max;
  }
}

export interface PoolDeps {
  readonly wheel: TimerWheel;
  readonly connector: Connector;
  readonly idleBudget: IdleBudget;
}

/** The kept HTTP/1.1 connections to one endpoint. The one used last is used first, so the others can go idle. */
export class H1Pool implements H1ClientOwner, Disposable {
  readonly address: Address;
  readonly tls: UpstreamTls | undefined;
  readonly #deps: PoolDeps;
  readonly #options: PoolOptions;
  readonly #idle: H1ClientConnection[] = [];
  readonly #all = new Set<H1ClientConnection>();
  #retired = false;

  constructor(deps: PoolDeps, options: PoolOptions, address: Address, tls: UpstreamTls | undefined) {
    this.#deps = deps;
    this.#options = options;
    this.address = address;
    this.tls = tls;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Sends the request on a kept or a new connection; `fresh` insists on a new one. */
  open(request: OutgoingRequest, handler: UpstreamHandler, fresh: boolean): UpstreamStream {
    const connection = (fresh ? undefined : this.#takeIdle()) ?? this.#connect();
    connection.open(request, handler);
    return connection;
  }

  released(connection: H1ClientConnection): void {
    const { idleBudget, wheel } = this.#deps;
    if (this.#retired || this.#options.idleMs === 0 || idleBudget.count >= idleBudget.max)
      return connection.close();
    idleBudget.count++;
    this.#idle.push(connection);
    wheel.arm(connection.idleDeadline, this.#options.idleMs);
  }

  dropped(connection: H1ClientConnection): void {
    this.#deps.wheel.remove(connection.idleDeadline);
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    this.#deps.idleBudget.count--;
  }

  /** Closes idle connections now and the others when their request ends. */
  [Symbol.dispose](): void {
    this.#retired = true;
    for (const connection of this.#idle.slice()) connection.close();
  }

  #takeIdle(): H1ClientConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (!connection) return undefined;
      this.#deps.idleBudget.count--;
      this.#deps.wheel.cancel(connection.idleDeadline);
      if (connection.usable) return connection;
    }
  }

  #connect(): H1ClientConnection {
    const held: { connection?: H1ClientConnection } = {};
    const wire = this.#deps.connector.connect(this.address, this.tls, () =>
      held.connection?.connectionMade(),
    );
    const connection = new H1ClientConnection(wire, this, this.#options.requestsMax);
    held.connection = connection;
    this.#all.add(connection);
    return connection;
  }
}
