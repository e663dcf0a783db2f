import type { ApiClient } from '../api/client/client.ts';
import { openEventRecorder } from '../api/client/event-recorder.ts';
import { type InformerFactory, openInformerFactory } from '../api/client/informer-factory.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Registry } from '../base/metrics.ts';
import type { ControllerContext, OpenController } from './context.ts';
import { openDeploymentController } from './deployment.ts';
import { openEndpointSliceMirroringController } from './endpoint-slice-mirroring.ts';
import { openEndpointSliceController } from './endpoint-slice.ts';
import { openEndpointsController } from './endpoints.ts';
import { openGarbageCollector } from './garbage-collector.ts';
import { openNamespaceController } from './namespace.ts';
import { openReplicaSetController, openReplicationControllerController } from './replica-set.ts';
import { openServiceAccountController } from './service-account.ts';
import { openStatefulSetController } from './stateful-set.ts';

export interface ControllersDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly metrics?: Registry;
  /** Shared with the rest of the process when given; else the controllers keep their own. */
  readonly informers?: InformerFactory;
}

export interface ControllersOptions {
  /** Names of the loops to run; absent = all. */
  readonly enabled?: readonly ControllerName[];
  /** PEM of the API server's CA, for kube-root-ca.crt; absent = that ConfigMap is not kept. */
  readonly rootCaPem?: string;
}

const CONTROLLERS = {
  'service-account': (context, options) =>
    openServiceAccountController(context, { rootCaPem: options.rootCaPem }),
  namespace: openNamespaceController,
  'replica-set': openReplicaSetController,
  'replication-controller': openReplicationControllerController,
  deployment: openDeploymentController,
  'stateful-set': openStatefulSetController,
  'endpoint-slice': openEndpointSliceController,
  endpoints: openEndpointsController,
  'endpoint-slice-mirroring': openEndpointSliceMirroringController,
  'garbage-collector': openGarbageCollector,
} as const satisfies Readonly<
  Record<string, (context: ControllerContext, options: ControllersOptions) => ReturnType<OpenController>>
>;

export type ControllerName = keyof typeof CONTROLLERS;

export const controllerNames = Object.keys(CONTROLLERS) as ControllerName[];

/** Starts the loops and resolves when their caches are filled. Disposal stops them in reverse order. */
export async function openControllers(
  deps: ControllersDeps,
  options: ControllersOptions = {},
): Promise<AsyncDisposable> {
  await using opening = new AsyncDisposableStack();
  const log = deps.log.with({ part: 'controllers' });
  const shared = {
    clock: deps.clock,
    log,
    random: deps.random,
    ...(deps.metrics && { metrics: deps.metrics }),
  };
  const informers = deps.informers ?? opening.use(openInformerFactory(deps.client, shared));
  const events = opening.use(
    openEventRecorder({ ...shared, client: deps.client }, { component: 'weft-controllers' }),
  );
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {}); // rejected only when the start failed: then the loops are gone already
  const context: ControllerContext = {
    ...shared,
    client: deps.client,
    informers,
    events,
    ready: ready.promise,
  };
  const abort = new AbortController();
  opening.defer(() => {
    abort.abort(new Error('controllers disposed'));
    ready.reject(abort.signal.reason);
  });
  for (const name of options.enabled ?? controllerNames) {
    opening.use(CONTROLLERS[name](context, options));
  }
  await informers.synced(abort.signal);
  ready.resolve();
  return opening.move();
}
