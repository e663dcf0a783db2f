import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Registry } from '../../base/metrics.ts';
import { WorkQueue } from '../../base/work-queue.ts';
import { type ClientMetrics, clientMetrics } from './client-metrics.ts';
import { ApiError } from './client.ts';
import { RECONCILE_BACKOFF_MAX_MS, RECONCILE_BACKOFF_MIN_MS } from './limits.ts';

/** Nothing left to do until something changes. */
export interface Done {
  readonly outcome: 'done';
}
/** Look again after a time; not a failure. */
export interface Again {
  readonly outcome: 'again';
  readonly afterMs: number;
}
/** Trying again cannot help until the object changes: logged and counted once, not retried. */
export interface Terminal {
  readonly outcome: 'terminal';
  readonly reason: string;
}

/** Brings the world in line with one key. A throw means: retry with backoff. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<Done | Again | Terminal>;

export const done: Done = { outcome: 'done' };

export function again(afterMs: number): Again {
  return { outcome: 'again', afterMs: Math.max(0, afterMs) };
}

export function terminal(reason: string): Terminal {
  return { outcome: 'terminal', reason };
}

export interface ReconcilerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly metrics?: Registry;
}

export interface ReconcilerOptions {
  readonly name: string;
  /** Keys in work at a time; one key never twice. */
  readonly workers: number;
  readonly reconcile: Reconcile;
  /** Workers start when this resolves (informers synced). */
  readonly ready?: Promise<void>;
  readonly backoff?: { readonly minMs: number; readonly maxMs: number };
}

export interface Reconciler extends AsyncDisposable {
  add(key: string): void;
  addAfter(key: string, delayMs: number): void;
}

/** A keyed queue and its workers. Disposal waits for the reconciles under way, which see their signal aborted. */
export function openReconciler(deps: ReconcilerDeps, options: ReconcilerOptions): Reconciler {
  const { minMs, maxMs } = options.backoff ?? {
    minMs: RECONCILE_BACKOFF_MIN_MS,
    maxMs: RECONCILE_BACKOFF_MAX_MS,
  };
  const backoff = { minMs, maxMs, jitter: 0.2, random: deps.random };
  const queue = new WorkQueue<string>(deps, backoff);
  const abort = new AbortController();
  const metrics = deps.metrics && clientMetrics(deps.metrics);
  const log = deps.log.with({ controller: options.name });
  const run: Run = { deps, options, queue, metrics, log, signal: abort.signal };
  const workers = Promise.all(Array.from({ length: options.workers }, () => work(run)));
  return {
    add: (key) => queue.add(key),
    addAfter: (key, delayMs) => queue.addAfter(key, delayMs),
    async [Symbol.asyncDispose]() {
      abort.abort(new Error(`${options.name} disposed`));
      queue[Symbol.dispose]();
      await workers;
    },
  };
}

interface Run {
  readonly deps: ReconcilerDeps;
  readonly options: ReconcilerOptions;
  readonly queue: WorkQueue<string>;
  readonly metrics: ClientMetrics | undefined;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

async function work(run: Run): Promise<void> {
  const { queue, options, signal } = run;
  try {
    await Promise.race([options.ready, aborted(signal)]);
  } catch (error) {
    if (!signal.aborted) run.log.error('controller did not start', { error });
    return;
  }
  for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
    const controller = options.name;
    const startMs = run.deps.clock.monotonicMs();
    const outcome = await one(run, key);
    queue.done(key);
    run.metrics?.reconciles.inc({ controller, outcome });
    run.metrics?.reconcileSeconds.observe({ controller }, (run.deps.clock.monotonicMs() - startMs) / 1000);
    run.metrics?.queueDepth.set({ controller }, queue.size);
  }
}

/** Resolves when the signal is aborted: the queue is closed then, the worker's loop ends by itself. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function one(run: Run, key: string): Promise<string> {
  const { queue, log } = run;
  try {
    const result = await run.options.reconcile(key, run.signal);
    queue.forget(key);
    if (result.outcome === 'again') queue.addAfter(key, result.afterMs);
    if (result.outcome === 'terminal') log.warn('reconcile given up', { key, reason: result.reason });
    return result.outcome;
  } catch (error) {
    if (run.signal.aborted) return 'aborted';
    queue.addWithBackoff(key);
    // Somebody else wrote first: the informer brings their version, the retry works on it.
    const conflict = error instanceof ApiError && error.status === 409;
    if (conflict) log.debug('reconcile conflict', { key, reason: messageOf(error) });
    else log.warn('reconcile failed', { key, reason: messageOf(error) });
    return conflict ? 'conflict' : 'error';
  }
}
