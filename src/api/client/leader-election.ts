import { type Clock, sleep } from '../../base/clock.ts';
import { Fault, messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Registry } from '../../base/metrics.ts';
import { type Lease, microTime } from '../kinds/lease.ts';
import { clientMetrics } from './client-metrics.ts';
import type { ApiClient } from './client.ts';
import { orUndefined } from './or-undefined.ts';
import { resources } from './resources.ts';

export interface LeaderElectionOptions {
  readonly namespace: string;
  readonly name: string;
  /** Unique for each candidate. */
  readonly identity: string;
  /** Others may take over this long after the last renewal they saw. */
  readonly leaseDurationMs?: number;
  /** The holder gives up when it could not renew for this long; must be shorter. */
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
}

interface ElectionDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly metrics?: Registry;
}

/** Code of the Fault that ends a term for want of an answer; nobody is known to have taken over. */
export const LEASE_NOT_RENEWED = 'LEASE_NOT_RENEWED';

const LEASE_DURATION_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_PERIOD_MS = 2_000;
const RETRY_JITTER = 0.2;

/**
 * Runs `lead` while this process holds the Lease. Each term gets a signal that is aborted when the lease is lost;
 * the next term begins after `lead` has returned. Expiry is judged by our own clock from the moment a renewal was
 * seen, never by comparing clocks. A term that fails counts as lost. Disposal gives the lease back.
 */
export function openLeaderElection(
  deps: ElectionDeps,
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
): AsyncDisposable {
  const abort = new AbortController();
  const election = new Election(deps, options);
  const running = election.run(lead, abort.signal);
  return {
    async [Symbol.asyncDispose]() {
      abort.abort(new Error('leader election disposed'));
      await running;
    },
  };
}

class Election {
  readonly #deps: ElectionDeps;
  readonly #options: Required<LeaderElectionOptions>;
  /** The lease as last seen and when, by our clock. */
  #seen: { lease: Lease; atMs: number } | undefined;

  constructor(deps: ElectionDeps, options: LeaderElectionOptions) {
    this.#deps = deps;
    this.#options = {
      leaseDurationMs: LEASE_DURATION_MS,
      renewDeadlineMs: RENEW_DEADLINE_MS,
      retryPeriodMs: RETRY_PERIOD_MS,
      ...options,
    };
  }

  async run(lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { log, metrics } = this.#deps;
    const gauge = metrics && clientMetrics(metrics).leader;
    const { name, identity } = this.#options;
    while (!signal.aborted) {
      if (!(await this.#acquire(signal))) return;
      log.info('leading', { lease: name, identity });
      gauge?.set({ name }, 1);
      await this.#term(lead, signal);
      gauge?.set({ name }, 0);
      log.info('leading no longer', { lease: name, identity });
    }
  }

  /** Tries until the lease is ours; false when stopped. */
  async #acquire(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (await this.#attempt(signal)) return true;
      await this.#pause(signal);
    }
    return false;
  }

  async #term(lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const term = new AbortController();
    const onStop = (): void => term.abort(signal.reason);
    signal.addEventListener('abort', onStop, { once: true });
    if (signal.aborted) onStop();
    const work = lead(term.signal)
      .catch((error: unknown) => {
        if (!term.signal.aborted) this.#deps.log.error('leader failed', { error });
      })
      .finally(() => term.abort(new Error('leader ended')));
    await this.#renewUntilLost(term);
    await work;
    signal.removeEventListener('abort', onStop);
    await this.#release();
  }

  async #renewUntilLost(term: AbortController): Promise<void> {
    const { clock } = this.#deps;
    let renewedMs = clock.monotonicMs();
    // The deadline has a timer of its own: a renewal that hangs must not keep a lost lease.
    let deadline = this.#deadline(term, renewedMs);
    while (!term.signal.aborted) {
      await this.#pause(term.signal);
      if (term.signal.aborted) break;
      if (await this.#attempt(term.signal)) {
        renewedMs = clock.monotonicMs();
        deadline[Symbol.dispose]();
        deadline = this.#deadline(term, renewedMs);
      } else if (this.#seen?.lease.spec?.holderIdentity !== this.#options.identity) {
        term.abort(new Error('the lease was taken'));
      }
    }
    deadline[Symbol.dispose]();
  }

  #deadline(term: AbortController, renewedMs: number): Disposable {
    const leftMs = renewedMs + this.#options.renewDeadlineMs - this.#deps.clock.monotonicMs();
    return this.#deps.clock.setTimer(leftMs, () =>
      term.abort(new Fault(LEASE_NOT_RENEWED, 'the lease could not be renewed')),
    );
  }

  /** One try to take or renew the lease. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    try {
      return await this.#tryOnce(signal);
    } catch (error) {
      if (!signal.aborted) {
        this.#deps.log.debug('lease not renewed', { lease: this.#options.name, reason: messageOf(error) });
      }
      return false;
    }
  }

  async #tryOnce(signal: AbortSignal): Promise<boolean> {
    const { client, clock } = this.#deps;
    const { namespace, name, identity, leaseDurationMs } = this.#options;
    const present = await this.#read(signal);
    const nowMs = clock.monotonicMs();
    if (present && !sameRecord(present, this.#seen?.lease)) this.#seen = { lease: present, atMs: nowMs };
    const held = present?.spec?.holderIdentity;
    const mine = held === identity;
    if (held && !mine && nowMs < (this.#seen?.atMs ?? 0) + leaseDurationMs) return false;
    const spec = this.#spec(present, mine);
    const base = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
    const lease: Lease = present ? { ...present, spec } : { ...base, metadata: { name, namespace }, spec };
    // Guarded by resourceVersion: of two candidates one gets 409.
    const reply = present
      ? await client.update<Lease>(resources.leases, lease, { signal })
      : await client.create<Lease>(resources.leases, lease, { signal });
    this.#seen = { lease: reply, atMs: clock.monotonicMs() };
    return true;
  }

  #spec(present: Lease | undefined, mine: boolean): NonNullable<Lease['spec']> {
    const { identity, leaseDurationMs } = this.#options;
    const time = microTime(this.#deps.clock.nowMs());
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: (mine ? present?.spec?.acquireTime : undefined) ?? time,
      renewTime: time,
      leaseTransitions: (present?.spec?.leaseTransitions ?? 0) + (present && !mine ? 1 : 0),
    };
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    const { namespace, name } = this.#options;
    return await orUndefined(this.#deps.client.get<Lease>(resources.leases, name, namespace, signal));
  }

  /** Lets the next candidate start at once. An empty holder is refused by some servers: it is left out. */
  async #release(): Promise<void> {
    const lease = this.#seen?.lease;
    if (lease?.spec?.holderIdentity !== this.#options.identity) return;
    const { holderIdentity: _, ...rest } = lease.spec;
    const spec = { ...rest, leaseDurationSeconds: 1 };
    try {
      await this.#deps.client.update<Lease>(resources.leases, { ...lease, spec });
    } catch (error) {
      this.#deps.log.debug('lease not given back', { reason: messageOf(error) });
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#deps;
    const delayMs = this.#options.retryPeriodMs * (1 + RETRY_JITTER * random());
    await sleep(clock, delayMs, signal).catch(() => {}); // stopped: the loops' conditions see it
  }
}

function sameRecord(a: Lease, b: Lease | undefined): boolean {
  return a.spec?.holderIdentity === b?.spec?.holderIdentity && a.spec?.renewTime === b?.spec?.renewTime;
}
