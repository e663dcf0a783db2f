import type { NodeView, NodeViewChanges, ServicePortView } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Registry } from '../../src/base/metrics.ts';
import { EngineMetrics } from '../../src/net/engine-metrics.ts';
import { EngineChoice, type EngineName } from '../../src/net/engine.ts';
import type { Exec } from '../../src/net/exec.ts';
import type { Family } from '../../src/net/ip.ts';
import { Nft } from '../../src/net/nft.ts';
import type { Applied, Backend, PortCounts } from '../backend.ts';
import * as limits from '../limits.ts';
import { Capture } from './capture.ts';
import { ConnectionHold } from './connection-hold.ts';
import { bindPlan, capturePlan, CLOSED_PLAN, type DoorPlan } from './door-plan.ts';
import { nftFamily, TABLE, type UserspaceCapture } from './kernel-table.ts';
import { LocalRoutes } from './local-routes.ts';
import { nativeEngine } from './native/native-engine.ts';
import { PolicyRoute } from './policy-route.ts';
import { PortServer, type DoorRegister } from './port-server.ts';
import { portCounts } from './port-state.ts';
import type { ProxyProtocol } from './proxy-protocol.ts';
import { relayContext, type RelayContext, type RelayLimits, standing, unknownNode } from './relay-context.ts';
import { portableEngine, type RelayEngine, tproxyUnsupported } from './relay-engine.ts';

export interface UserspaceDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Runs `ip` for addresses that are neither loopback nor on an interface of this host. */
  readonly exec: Exec;
  /** Gets `weft_engine_*` of the native engine. */
  readonly metrics?: Registry;
}

export interface UserspaceOptions {
  readonly family: Family;
  readonly limits?: Partial<RelayLimits>;
  /** For services without an annotation of their own. */
  readonly proxyProtocol?: ProxyProtocol;
  /** Default bind. */
  readonly capture?: UserspaceCapture;
  /** How long open connections may finish at dispose. */
  readonly drainDeadlineMs?: number;
  /** Who relays; default auto. */
  readonly engine?: EngineName;
  /** Processors that the native engine's threads are bound to, in turn; IPv4's first. */
  readonly workerCpus?: readonly number[];
}

const LIMITS: RelayLimits = {
  tcpSessionsMax: limits.TCP_SESSIONS_MAX,
  udpSessionsMax: limits.UDP_SESSIONS_MAX,
  tcpIdleSeconds: limits.TCP_IDLE_SECONDS,
  tcpHalfClosedIdleSeconds: limits.TCP_HALF_CLOSED_IDLE_SECONDS,
  udpIdleSeconds: limits.UDP_IDLE_SECONDS,
  affinityClientsMax: limits.AFFINITY_CLIENTS_MAX,
  dialDeadlinesMs: limits.DIAL_DEADLINES_MS,
};

/**
 * Serves every service port with sockets of its own: a listener at each of its addresses, a dial to an endpoint
 * for each connection. Needs no kernel rules; knows when an endpoint does not answer and tries the next.
 */
export class UserspaceBackend implements Backend {
  readonly mode = 'userspace';
  readonly family: Family;
  readonly #deps: UserspaceDeps;
  readonly #drainDeadlineMs: number;
  readonly #context: RelayContext;
  readonly #engine: RelayEngine;
  readonly #servers = new Map<string, PortServer>();
  readonly #register: DoorRegister = new Map();
  /** Servers with closed doors; each apply tries them again. */
  readonly #refusing = new Set<PortServer>();
  readonly #routes: LocalRoutes;
  readonly #capture: Capture | undefined;
  readonly #hold: ConnectionHold;
  #routesFlushed = false;
  /** Cleaned up, but for what connections under way still need of the kernel. */
  #cleanupWaits = false;
  #plan: DoorPlan;
  #sweep: Disposable | undefined;
  #disposed = false;

  private constructor(
    deps: UserspaceDeps,
    options: UserspaceOptions,
    { context, engine }: { readonly context: RelayContext; readonly engine: RelayEngine },
  ) {
    this.#deps = deps;
    this.family = options.family;
    this.#drainDeadlineMs = options.drainDeadlineMs ?? limits.DRAIN_DEADLINE_MS;
    this.#plan = CLOSED_PLAN;
    this.#routes = new LocalRoutes(deps, options);
    const { capture = 'bind', family } = options;
    if (capture !== 'bind')
      this.#capture = new Capture({ exec: deps.exec, engine }, { family, way: capture });
    this.#hold = new ConnectionHold({ exec: deps.exec, log: context.log }, options);
    this.#context = context;
    this.#engine = engine;
    this.#scheduleSweep();
  }

  /**
   * Rejects with Fault FFI or NATIVE_UNSUPPORTED where the engine asked for cannot run, CAPTURE_UNSUPPORTED where it cannot
   * capture as asked.
   */
  static async open(deps: UserspaceDeps, options: UserspaceOptions): Promise<UserspaceBackend> {
    const { family, proxyProtocol } = options;
    const log = deps.log.with({ part: 'proxy', mode: 'userspace', family });
    const bounds = { limits: { ...LIMITS, ...options.limits }, proxyProtocol, node: unknownNode(family) };
    const metrics = deps.metrics && EngineMetrics.on(deps.metrics);
    const context = relayContext({ clock: deps.clock, log }, bounds);
    const engine = await new EngineChoice(engineFor(options), { log }).open(
      async () => nativeEngine({ log, metrics }, { ...bounds, cpu: cpuOf(options) }),
      async () => portableEngine(context),
    );
    return new UserspaceBackend(deps, options, { context, engine });
  }

  async counters(): Promise<readonly PortCounts[]> {
    const counted = await this.#engine.counts();
    return [...this.#servers.values()].map(({ state }) => counted.get(state.view.key) ?? portCounts(state));
  }

  get activeCount(): number {
    return this.#engine.activeCount;
  }

  async apply(
    view: NodeView,
    changes: NodeViewChanges,
    _previous: ReadonlyMap<string, ServicePortView>,
    signal: AbortSignal,
  ): Promise<Applied> {
    const startMs = this.#deps.clock.monotonicMs();
    const resettled = this.#settle(view.node);
    const everything = !changes.complete || resettled;
    const keys = everything ? new Set([...this.#servers.keys(), ...view.ports.keys()]) : changes.ports;
    const opening = new Set<PortServer>();
    for (const key of keys) {
      const server = this.#prepare(key, view.ports.get(key));
      if (server) opening.add(server);
    }
    for (const server of this.#refusing) opening.add(server); // those just removed are no longer among them
    this.#cleanupWaits = false;
    if (!this.#capture && this.#routes.size > 0) await this.#hold.ensure(keys.size === 0, signal);
    await this.#route(signal);
    await this.#engine.settled(); // addresses of closed doors are free for others now
    for (const server of opening) {
      signal.throwIfAborted();
      await server.open();
      if (server.refused.length > 0) this.#refusing.add(server);
      else this.#refusing.delete(server);
    }
    await this.#capture?.commit(signal);
    await this.#engine.settled();
    return {
      full: everything,
      changedPorts: keys.size,
      durationMs: this.#deps.clock.monotonicMs() - startMs,
      refused: [...this.#refusing].flatMap(({ state, refused }) =>
        refused.map((reason) => ({ key: state.view.key, reason })),
      ),
    };
  }

  /** Stops listening; connections under way go on, and what they need of the kernel stays until they end. */
  async cleanup(signal: AbortSignal): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve)); // what the kernel has accepted is taken first
    this.#closeDoors();
    await this.#engine.settled();
    await this.#capture?.release(signal);
    this.#cleanupWaits = this.#engine.activeCount > 0;
    if (!this.#cleanupWaits) await this.#removeTraces(signal);
  }

  /** Stops listening, lets open connections finish until the drain deadline, then cuts them. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    const hasTraces = this.#routes.size > 0 || this.#capture !== undefined || this.#cleanupWaits;
    this.#closeDoors();
    this.#capture?.stopAccepting();
    await this.#drained();
    if (hasTraces) await this.#removeTraces();
    this.#sweep?.[Symbol.dispose]();
    await this.#engine[Symbol.asyncDispose]();
  }

  /** Routes and the table of captured addresses, those of an earlier process too. */
  async #removeTraces(signal?: AbortSignal): Promise<void> {
    const { family, log } = { family: this.family, log: this.#context.log };
    const fault = await this.#routes.flush(signal);
    if (fault !== undefined) log.warn('routes not removed', { reason: fault });
    this.#capture?.forget();
    this.#hold.forget();
    const removals = [
      new PolicyRoute(this.#deps, { family }).remove(signal),
      new Nft(this.#deps).deleteTable(nftFamily(family), TABLE, signal),
    ];
    for (const outcome of await Promise.allSettled(removals)) {
      // a host without the program has nothing of the kind
      if (outcome.status === 'rejected')
        log.debug('captured addresses not looked for', { reason: messageOf(outcome.reason) });
    }
  }

  #settle(node: NodeView['node']): boolean {
    if (this.#context.node === node) return false;
    this.#plan = this.#capture
      ? capturePlan(node, this.#engine, this.#capture)
      : bindPlan(node, this.#engine);
    this.#engine.follow(node);
    Object.assign(this.#context, standing(node));
    return true;
  }

  #prepare(key: string, view: ServicePortView | undefined): PortServer | undefined {
    let server = this.#servers.get(key);
    const isCaptured = this.#capture !== undefined && view?.protocol === 'TCP';
    this.#routes.set(key, view && !isCaptured ? foreignAddresses(view, this.#context.classifier) : []);
    if (!view) {
      if (!server) return undefined;
      server[Symbol.dispose]();
      this.#servers.delete(key);
      this.#engine.forget(key);
      this.#refusing.delete(server);
      return undefined;
    }
    if (!server) {
      const plan = (): DoorPlan => this.#plan;
      server = new PortServer({ context: this.#context, register: this.#register, plan }, view);
      this.#servers.set(key, server);
    }
    if (view.protocol !== 'SCTP') this.#engine.serve(view);
    server.prepare(view);
    return server;
  }

  /** What an earlier process left behind goes first. */
  async #route(signal: AbortSignal): Promise<void> {
    if (this.#routes.size > 0 && !this.#routesFlushed) {
      this.#routesFlushed = true;
      await this.#routes.flush(signal);
    }
    const fault = await this.#routes.commit(signal);
    if (fault === undefined) return;
    const hint = 'addresses outside loopback need the capability net_admin';
    this.#context.log.warn('routes not written', { reason: fault, hint });
  }

  #closeDoors(): void {
    for (const [key, server] of this.#servers) {
      server[Symbol.dispose]();
      this.#engine.forget(key);
      this.#routes.set(key, []);
    }
    this.#servers.clear();
    this.#refusing.clear();
  }

  async #drained(): Promise<void> {
    let timer: Disposable | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = this.#deps.clock.setTimer(this.#drainDeadlineMs, resolve);
    });
    await Promise.race([this.#engine.empty(), deadline]);
    timer?.[Symbol.dispose]();
  }

  #scheduleSweep(): void {
    this.#sweep = this.#deps.clock.setTimer(limits.SWEEP_INTERVAL_MS, () => {
      this.#engine.sweep();
      this.#scheduleSweep();
    });
  }
}

/** A host with both families has two threads. */
function cpuOf({ family, workerCpus = [] }: UserspaceOptions): number | undefined {
  return workerCpus[(family === 'IPv6' ? 1 : 0) % workerCpus.length];
}

/** Transparent sockets are the native engine's alone. */
function engineFor({ engine = 'auto', capture }: UserspaceOptions): EngineName {
  if (capture !== 'tproxy') return engine;
  if (engine === 'portable') throw tproxyUnsupported();
  return 'native';
}

/** Addresses of a service port that this host does not have by itself. */
function foreignAddresses(view: ServicePortView, classifier: RelayContext['classifier']): readonly string[] {
  const all = [...(view.clusterIP === undefined ? [] : [view.clusterIP]), ...view.externalIPs];
  return [...all, ...view.loadBalancerIPs].filter((address) => !classifier.isNodeAddress(address));
}
