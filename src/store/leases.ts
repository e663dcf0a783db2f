import { randomInt } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { LeaseRecord } from './journal.ts';

interface Lease extends LeaseRecord {
  deadlineMs: number;
  timer: Disposable;
  readonly keys: Set<string>;
}

const LEASE_ID_MAX = 2 ** 47;
/** Timers cannot be longer (setTimeout takes 31 bits); a lease that lives longer is looked at again. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Leases of an embedded store, with the keys attached to each. `onExpired` is called once for each lease. */
export class Leases implements Disposable {
  readonly #clock: Clock;
  readonly #onExpired: (id: number) => void;
  readonly #leases = new Map<number, Lease>();
  readonly #leaseOfKey = new Map<string, Lease>();

  constructor(deps: { clock: Clock; onExpired: (id: number) => void }) {
    this.#clock = deps.clock;
    this.#onExpired = deps.onExpired;
  }

  get size(): number {
    return this.#leases.size;
  }

  has(id: number): boolean {
    return this.#leases.has(id);
  }

  ttlSeconds(id: number): number | undefined {
    return this.#leases.get(id)?.ttlSeconds;
  }

  keysOf(id: number): Iterable<string> {
    return this.#leases.get(id)?.keys ?? [];
  }

  /** Random, so that an id is not met again after its lease has ended. */
  newId(): number {
    for (;;) {
      const id = randomInt(1, LEASE_ID_MAX);
      if (!this.#leases.has(id)) return id;
    }
  }

  add({ id, ttlSeconds }: LeaseRecord): void {
    const deadlineMs = this.#clock.monotonicMs() + ttlSeconds * 1000;
    this.#leases.set(id, {
      id,
      ttlSeconds,
      deadlineMs,
      timer: this.#arm(id, ttlSeconds * 1000),
      keys: new Set(),
    });
  }

  renew(id: number): boolean {
    const lease = this.#leases.get(id);
    if (!lease) return false;
    lease.deadlineMs = this.#clock.monotonicMs() + lease.ttlSeconds * 1000;
    return true;
  }

  /** For a lease whose end could not be written: it lives once more. */
  renewAndArm(id: number): void {
    const lease = this.#leases.get(id);
    if (!lease || !this.renew(id)) return;
    lease.timer[Symbol.dispose]();
    lease.timer = this.#arm(id, lease.ttlSeconds * 1000);
  }

  end(id: number): void {
    const lease = this.#leases.get(id);
    if (!lease) return;
    lease.timer[Symbol.dispose]();
    for (const key of lease.keys) this.#leaseOfKey.delete(key);
    this.#leases.delete(id);
  }

  /** Notes what a write of the key attached; 0 = nothing. */
  attach(key: string, id: number): void {
    const before = this.#leaseOfKey.get(key);
    if (before?.id === id) return;
    if (before) {
      before.keys.delete(key);
      this.#leaseOfKey.delete(key);
    }
    const lease = id === 0 ? undefined : this.#leases.get(id);
    if (!lease) return;
    lease.keys.add(key);
    this.#leaseOfKey.set(key, lease);
  }

  [Symbol.dispose](): void {
    for (const lease of this.#leases.values()) lease.timer[Symbol.dispose]();
  }

  #arm(id: number, delayMs: number): Disposable {
    return this.#clock.setTimer(Math.min(delayMs, TIMER_MS_MAX), () => this.#check(id));
  }

  /** Renewals only move the deadline; the timer that was set finds out here. */
  #check(id: number): void {
    const lease = this.#leases.get(id);
    if (!lease) return;
    const leftMs = lease.deadlineMs - this.#clock.monotonicMs();
    if (leftMs > 0) lease.timer = this.#arm(id, leftMs);
    else this.#onExpired(id);
  }
}
