import type { Clock } from '../../src/base/clock.ts';
import { RATE_LIMIT_CLIENTS_MAX } from '../limits.ts';
import type { LimitPolicy } from '../policy.ts';
import { inCidrs, type RoutedRequest } from '../relay/context.ts';
import { type Reply, reply } from '../relay/reply.ts';

interface Bucket {
  /** Requests over the rate so far, in requests. */
  excess: number;
  stampMs: number;
}

/** Leaky buckets of one rate (nginx limit_req with nodelay): an excess over the burst is refused. */
class Buckets {
  readonly #buckets = new Map<string, Bucket>();

  take(client: string, perMs: number, burst: number, nowMs: number): boolean {
    let bucket = this.#buckets.get(client);
    if (!bucket) {
      if (this.#buckets.size >= RATE_LIMIT_CLIENTS_MAX) this.#forgetOldest();
      bucket = { excess: 0, stampMs: nowMs };
      this.#buckets.set(client, bucket);
      return true;
    }
    const excess = Math.max(0, bucket.excess - (nowMs - bucket.stampMs) * perMs + 1);
    if (excess > burst) return false;
    bucket.excess = excess;
    bucket.stampMs = nowMs;
    this.#buckets.delete(client);
    this.#buckets.set(client, bucket);
    return true;
  }

  #forgetOldest(): void {
    const oldest = this.#buckets.keys().next();
    if (!oldest.done) this.#buckets.delete(oldest.value);
  }
}

/** limit-connections, limit-rpm and limit-rps, per Ingress and client address, checked in that order. */
export class RateLimits {
  readonly #clock: Clock;
  readonly #perSecond = new Map<string, Buckets>();
  readonly #perMinute = new Map<string, Buckets>();
  readonly #connections = new Map<string, number>();
  readonly #held = new WeakMap<RoutedRequest, string>();

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  check(request: RoutedRequest, policy: LimitPolicy): Reply | undefined {
    const client = request.clientAddress;
    if (policy.exempt.length > 0 && inCidrs(policy.exempt, client)) return undefined;
    const { namespace, name } = request.route.ingress;
    const zone = `${namespace}/${name}`;
    if (policy.connections > 0 && !this.#hold(request, `${zone} ${client}`, policy.connections)) {
      return reply(request.settings.connLimitStatus, 'limit-connections');
    }
    const nowMs = this.#clock.monotonicMs();
    if (
      policy.perMinute > 0 &&
      !this.#take(this.#perMinute, zone, client, policy.perMinute, 60_000, policy, nowMs)
    ) {
      return reply(policy.status, 'limit-rpm');
    }
    if (
      policy.perSecond > 0 &&
      !this.#take(this.#perSecond, zone, client, policy.perSecond, 1_000, policy, nowMs)
    ) {
      return reply(policy.status, 'limit-rps');
    }
    return undefined;
  }

  /** The request is over: its place is free again. */
  release(request: RoutedRequest): void {
    const key = this.#held.get(request);
    if (key === undefined) return;
    this.#held.delete(request);
    const left = (this.#connections.get(key) ?? 1) - 1;
    if (left > 0) this.#connections.set(key, left);
    else this.#connections.delete(key);
  }

  #hold(request: RoutedRequest, key: string, max: number): boolean {
    const count = this.#connections.get(key) ?? 0;
    if (count >= max) return false;
    this.#connections.set(key, count + 1);
    this.#held.set(request, key);
    return true;
  }

  #take(
    zones: Map<string, Buckets>,
    zone: string,
    client: string,
    rate: number,
    periodMs: number,
    policy: LimitPolicy,
    nowMs: number,
  ): boolean {
    let buckets = zones.get(zone);
    if (!buckets) zones.set(zone, (buckets = new Buckets()));
    return buckets.take(client, rate / periodMs, rate * policy.burstMultiplier, nowMs);
  }
}
