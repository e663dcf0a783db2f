import type { ApiClient } from '../api/client/client.ts';
import type { EventSink } from '../api/client/event-recorder.ts';
import type { InformerFactory } from '../api/client/informer-factory.ts';
import { type Reconcile, type Reconciler, openReconciler } from '../api/client/reconcile.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Registry } from '../base/metrics.ts';
import { WORKERS } from './limits.ts';

/** What every controller is handed. Informers are shared: open the ones you need before `ready` is awaited. */
export interface ControllerContext {
  readonly client: ApiClient;
  readonly informers: InformerFactory;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly metrics?: Registry;
  /** Resolves when all informers have their first complete list. */
  readonly ready: Promise<void>;
}

/** Starts one control loop; disposal ends it after the reconciles under way. */
export type OpenController = (context: ControllerContext) => AsyncDisposable;

/** A reconciler that starts when the informers are ready. */
export function openLoop(
  context: ControllerContext,
  name: string,
  reconcile: Reconcile,
  workers = WORKERS,
): Reconciler {
  return openReconciler(context, { name, workers, reconcile, ready: context.ready });
}

/** One disposable of a loop and its subscriptions: subscriptions end first. */
export function together(loop: AsyncDisposable, ...subscriptions: Disposable[]): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
      await loop[Symbol.asyncDispose]();
    },
  };
}

/** `namespace/name` or `name` apart. */
export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf('/');
  return slash < 0
    ? { namespace: undefined, name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
