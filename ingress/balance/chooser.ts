import type { Clock } from '../../src/base/clock.ts';
import type { Target } from '../compile/route.ts';
import type { AffinityPolicy, BalancePolicy } from '../policy.ts';
import type { RoutedRequest } from '../relay/context.ts';
import type { Choice } from '../relay/services.ts';
import { expand } from '../relay/variables.ts';
import type { EndpointGroup, EndpointState } from '../upstream/cluster.ts';
import { affinityCookie, type AffinityCookie, endpointMark, readAffinityCookie } from './affinity.ts';
import { canaryTakes } from './canary.ts';
import { inPanic, isAvailable, noteFailure, noteLatency, noteSuccess, slowStartShare } from './health.ts';
import { ringOf } from './ring.ts';

export interface ChooserDeps {
  readonly clock: Clock;
  readonly random: () => number;
  /** Told when passive checks take an endpoint out. */
  ejected(cluster: EndpointGroup, endpoint: EndpointState): void;
}

/** Decides which backend and which endpoint serve a request. */
export class Chooser {
  readonly deps: ChooserDeps;

  constructor(deps: ChooserDeps) {
    this.deps = deps;
  }

  /** The route's backend, or its canary's. */
  target(request: RoutedRequest): { readonly target: Target; readonly canary: boolean } {
    const { canary, target, policy } = request.route;
    if (!canary) return { target, canary: false };
    if (policy.affinity?.canarySticky) {
      const cookie = readAffinityCookie(request, policy.affinity);
      if (cookie) return cookie.canary ? { target: canary.target, canary: true } : { target, canary: false };
    }
    const taken = canaryTakes(canary.policy, request, this.deps.random);
    return taken ? { target: canary.target, canary: true } : { target, canary: false };
  }

  choose(request: RoutedRequest, cluster: EndpointGroup, canary: boolean, startedMs: number): Choice {
    const { affinity, balance } = request.route.policy;
    if (affinity) return new StickyChoice(this.deps, request, cluster, startedMs, affinity, canary);
    return new EndpointChoice(this.deps, request, cluster, startedMs, balance);
  }
}

/** Picks by the balancing algorithm and keeps the endpoint's books. */
class EndpointChoice implements Choice {
  protected readonly deps: ChooserDeps;
  protected readonly request: RoutedRequest;
  protected readonly cluster: EndpointGroup;
  readonly #startedMs: number;
  readonly #balance: BalancePolicy;
  #current: EndpointState | undefined;
  #answered = false;

  constructor(
    deps: ChooserDeps,
    request: RoutedRequest,
    cluster: EndpointGroup,
    startedMs: number,
    balance: BalancePolicy,
  ) {
    this.deps = deps;
    this.request = request;
    this.cluster = cluster;
    this.#startedMs = startedMs;
    this.#balance = balance;
  }

  get cookie(): string | undefined {
    return undefined;
  }

  pick(tried: readonly EndpointState[]): EndpointState | undefined {
    const { endpoints } = this.cluster;
    if (endpoints.length === 0) return undefined;
    if (endpoints.length === 1)
      return tried.length > 0 || this.#full(endpoints[0]!) ? undefined : endpoints[0];
    const nowMs = this.deps.clock.monotonicMs();
    const usable = this.usable(tried, nowMs);
    if (this.#balance.hashBy !== undefined) return this.#byHash(this.#balance.hashBy, usable);
    if (this.#balance.algorithm === 'round_robin') return this.#roundRobin(usable, nowMs);
    return this.#betterOfTwo(usable);
  }

  hasAnother(tried: readonly EndpointState[]): boolean {
    for (const endpoint of this.cluster.endpoints) if (!tried.includes(endpoint)) return true;
    return false;
  }

  named(id: string): EndpointState | undefined {
    return this.cluster.endpoints.find((endpoint) => endpoint.id === id);
  }

  reason(): string {
    return this.cluster.reason ?? 'every endpoint is at its limit';
  }

  started(endpoint: EndpointState): void {
    if (this.#current) this.#current.active--;
    this.#current = endpoint;
    endpoint.active++;
    endpoint.requests++;
  }

  connected(): void {}

  answered(endpoint: EndpointState, status: number): void {
    this.#answered = true;
    if (status === 502 || status === 503 || status === 504) this.failed(endpoint, `http_${status}`);
    else noteSuccess(endpoint);
  }

  failed(endpoint: EndpointState, _failure: string): void {
    if (noteFailure(endpoint, this.deps.clock.monotonicMs(), this.#balance.health))
      this.deps.ejected(this.cluster, endpoint);
  }

  finished(nowMs: number): void {
    const endpoint = this.#current;
    this.#current = undefined;
    if (!endpoint) return;
    endpoint.active--;
    if (this.#answered) noteLatency(endpoint, nowMs - this.#startedMs, nowMs);
  }

  /** A test of whether this endpoint may be taken now. */
  protected usable(tried: readonly EndpointState[], nowMs: number): (endpoint: EndpointState) => boolean {
    const panic = inPanic(this.cluster.endpoints, nowMs, this.#balance.health);
    return (endpoint) =>
      !tried.includes(endpoint) && !this.#full(endpoint) && (panic || isAvailable(endpoint, nowMs));
  }

  #full(endpoint: EndpointState): boolean {
    return endpoint.active >= this.#balance.health.endpointRequestsMax;
  }

  #roundRobin(usable: (endpoint: EndpointState) => boolean, nowMs: number): EndpointState | undefined {
    const { endpoints } = this.cluster;
    const { slowStartMs } = this.#balance.health;
    let second: EndpointState | undefined;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[this.cluster.cursor++ % endpoints.length]!;
      if (!usable(endpoint)) continue;
      if (slowStartMs === 0 || this.deps.random() < slowStartShare(endpoint, nowMs, slowStartMs))
        return endpoint;
      second ??= endpoint;
    }
    return second;
  }

  /** Power of two choices, by peak EWMA times load or by load alone. */
  #betterOfTwo(usable: (endpoint: EndpointState) => boolean): EndpointState | undefined {
    const candidates = this.cluster.endpoints.filter(usable);
    if (candidates.length < 2) return candidates[0];
    const first = Math.floor(this.deps.random() * candidates.length);
    const step = 1 + Math.floor(this.deps.random() * (candidates.length - 1));
    const a = candidates[first]!;
    const b = candidates[(first + step) % candidates.length]!;
    return this.#cost(a) <= this.#cost(b) ? a : b;
  }

  #cost(endpoint: EndpointState): number {
    const share = slowStartShare(endpoint, this.deps.clock.monotonicMs(), this.#balance.health.slowStartMs);
    const load = (endpoint.active + 1) / share;
    return this.#balance.algorithm === 'ewma' ? (endpoint.latencyMs || 1) * load : load;
  }

  /** The same key always finds the same endpoint; with subsets one of the same few. */
  #byHash(expression: string, usable: (endpoint: EndpointState) => boolean): EndpointState | undefined {
    const key = expand(expression, this.request);
    const walk = ringOf(this.cluster).walk(key);
    if (!this.#balance.hashSubset) {
      for (const endpoint of walk) if (usable(endpoint)) return endpoint;
      return undefined;
    }
    const subset: EndpointState[] = [];
    for (const endpoint of walk) {
      if (usable(endpoint)) subset.push(endpoint);
      if (subset.length === this.#balance.hashSubsetSize) break;
    }
    return subset[Math.floor(this.deps.random() * subset.length)];
  }
}

/** Cookie affinity on top of it. */
class StickyChoice extends EndpointChoice {
  readonly #policy: AffinityPolicy;
  #cookie: AffinityCookie;
  #isNew: boolean;

  constructor(
    deps: ChooserDeps,
    request: RoutedRequest,
    cluster: EndpointGroup,
    startedMs: number,
    policy: AffinityPolicy,
    canary: boolean,
  ) {
    super(deps, request, cluster, startedMs, request.route.policy.balance);
    this.#policy = policy;
    const given = readAffinityCookie(request, policy);
    const fits = given !== undefined && given.canary === canary;
    this.#cookie = fits ? given : { id: newId(deps.random), endpoint: undefined, canary };
    this.#isNew = !fits;
  }

  override get cookie(): string | undefined {
    return this.#isNew
      ? affinityCookie(this.request, this.#policy, this.#cookie, this.deps.clock.nowMs())
      : undefined;
  }

  override pick(tried: readonly EndpointState[]): EndpointState | undefined {
    const usable = this.usable(tried, this.deps.clock.monotonicMs());
    if (tried.length > 0 && this.#policy.changeOnFailure) this.#renew();
    const chosen = this.#policy.persistent ? this.#persistent(usable) : this.#onRing(usable);
    if (
      chosen &&
      this.#policy.persistent &&
      this.#cookie.endpoint !== endpointMark(chosen) &&
      tried.length === 0
    ) {
      this.#cookie = { ...this.#cookie, endpoint: endpointMark(chosen) };
      this.#isNew = true;
    }
    return chosen;
  }

  #renew(): void {
    this.#cookie = { ...this.#cookie, id: newId(this.deps.random), endpoint: undefined };
    this.#isNew = true;
  }

  #persistent(usable: (endpoint: EndpointState) => boolean): EndpointState | undefined {
    const mark = this.#cookie.endpoint;
    const kept =
      mark === undefined
        ? undefined
        : this.cluster.endpoints.find((endpoint) => endpointMark(endpoint) === mark);
    return kept && usable(kept) ? kept : this.#onRing(usable);
  }

  #onRing(usable: (endpoint: EndpointState) => boolean): EndpointState | undefined {
    for (const endpoint of ringOf(this.cluster).walk(this.#cookie.id)) if (usable(endpoint)) return endpoint;
    return undefined;
  }
}

function newId(random: () => number): string {
  const part = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return part() + part() + part() + part();
}
