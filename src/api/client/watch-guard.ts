import type { Clock } from '../../base/clock.ts';
import type { KubeObject } from '../kinds/meta.ts';
import { ApiError, type WatchEvent } from './client.ts';
import { WATCH_GRACE_MS, WATCH_LIST_IDLE_MS } from './limits.ts';

/** The server does not know sendInitialEvents (or ignores it): list and watch instead. */
export class WatchListUnsupported extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'WatchListUnsupported';
  }
}

/** 500: kube-apiserver over an etcd before 3.5 tells so that it cannot know when the initial events are complete. */
const REFUSALS = new Set([400, 405, 422, 500]);

interface GuardOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly timeoutSeconds: number;
  /** The watch was asked for initial events. */
  readonly initial: boolean;
}

/**
 * Runs a watch under two limits: it is cut WATCH_GRACE_MS after the server should have ended it (a dead
 * connection says nothing), and initial events that stall without their closing bookmark mean
 * WatchListUnsupported.
 */
export async function* guarded<T extends KubeObject>(
  open: (signal: AbortSignal) => AsyncIterable<WatchEvent<T>>,
  options: GuardOptions,
): AsyncGenerator<WatchEvent<T>> {
  const { clock, signal } = options;
  const abort = new AbortController();
  const stop = (reason: Error): void => abort.abort(reason);
  const onAbort = (): void => stop(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const limit = clock.setTimer(options.timeoutSeconds * 1000 + WATCH_GRACE_MS, () =>
    stop(new Error('the watch outlived its timeout')),
  );
  const idle = options.initial ? idleTimer(clock, stop) : undefined;
  try {
    for await (const event of open(abort.signal)) {
      if (event.type === 'BOOKMARK' && event.initialEventsEnd) idle?.end();
      else idle?.touch();
      yield event;
    }
    if (abort.signal.aborted) throw abort.signal.reason;
  } catch (error) {
    if (abort.signal.aborted) throw abort.signal.reason;
    if (options.initial && error instanceof ApiError && REFUSALS.has(error.status)) {
      throw new WatchListUnsupported(error.message);
    }
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    limit[Symbol.dispose]();
    idle?.end();
  }
}

/** One timer however many events: it looks at the newest event's time when it fires. */
function idleTimer(clock: Clock, stop: (reason: Error) => void): { touch(): void; end(): void } {
  let lastMs = clock.monotonicMs();
  let timer: Disposable | undefined;
  const arm = (delayMs: number): void => {
    timer = clock.setTimer(delayMs, () => {
      const leftMs = lastMs + WATCH_LIST_IDLE_MS - clock.monotonicMs();
      if (leftMs > 0) arm(leftMs);
      else stop(new WatchListUnsupported('no bookmark closed the initial events'));
    });
  };
  arm(WATCH_LIST_IDLE_MS);
  return {
    touch: () => void (lastMs = clock.monotonicMs()),
    end: () => timer?.[Symbol.dispose](),
  };
}
