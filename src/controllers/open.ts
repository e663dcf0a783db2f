import type { ApiClient } from '../api/client/client.ts';
import { openEventRecorder } from '../api/client/event-recorder.ts';
import { type LeaderElectionOptions, openLeaderElection } from '../api/client/leader-election.ts';
import { type InformerFactory, openInformerFactory } from '../api/client/informer-factory.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Registry } from '../base/metrics.ts';
import type { ControllerContext, OpenController } from './context.ts';
import { openCertificateRequestCleaner } from './certificate-request-cleaner.ts';
import { openDaemonSetController } from './workloads/daemon-set.ts';
import { openDeploymentController } from './workloads/deployment.ts';
import { openEndpointSliceMirroringController } from './services/endpoint-slice-mirroring.ts';
import { openEndpointSliceController } from './services/endpoint-slice.ts';
import { openEndpointsController } from './services/endpoints.ts';
import { openGarbageCollector } from './garbage-collector.ts';
import { openHorizontalAutoscaler } from './autoscale/horizontal.ts';
import { openCronJobController } from './batch/cron-job.ts';
import { openJobController } from './batch/job.ts';
import { openNamespaceController } from './namespace.ts';
import type { LoadBalancerPool } from './services/load-balancer-pool.ts';
import { openNodeLifecycleController } from './nodes/node-lifecycle.ts';
import { openNodeTtlController } from './nodes/node-ttl.ts';
import { openPodGarbageCollector } from './nodes/pod-gc.ts';
import { openDisruptionController } from './policy/disruption.ts';
import { openReplicaSetController, openReplicationControllerController } from './workloads/replica-set.ts';
import { openScheduler } from './nodes/scheduler.ts';
import { openServiceAccountController } from './service-account.ts';
import { openServiceLoadBalancer } from './services/service-load-balancer.ts';
import { openStatefulSetController } from './workloads/stateful-set.ts';
import { openClaimProtection, openVolumeProtection } from './storage/protection.ts';
import { openVolumeBinder } from './storage/volume-binder.ts';
import { openTaintEvictionController } from './nodes/taint-eviction.ts';
import { openTtlAfterFinishedController } from './batch/ttl-after-finished.ts';

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
  /** Run only while holding this Lease: several servers share one store, one of them controls. */
  readonly leaderElection?: LeaderElectionOptions;
  /** PEM of the API server's CA, for kube-root-ca.crt; absent = that ConfigMap is not kept. */
  readonly rootCaPem?: string;
  /** Where Services of type LoadBalancer get their addresses; empty = they stay pending. */
  readonly loadBalancerPools?: readonly LoadBalancerPool[];
}

const CONTROLLERS = {
  'service-account': (context, options) =>
    openServiceAccountController(context, { rootCaPem: options.rootCaPem }),
  namespace: openNamespaceController,
  'replica-set': openReplicaSetController,
  'replication-controller': openReplicationControllerController,
  deployment: openDeploymentController,
  'stateful-set': openStatefulSetController,
  'daemon-set': openDaemonSetController,
  job: openJobController,
  'cron-job': openCronJobController,
  disruption: openDisruptionController,
  'volume-binder': openVolumeBinder,
  'pvc-protection': openClaimProtection,
  'pv-protection': openVolumeProtection,
  'horizontal-autoscaler': openHorizontalAutoscaler,
  'ttl-after-finished': openTtlAfterFinishedController,
  'endpoint-slice': openEndpointSliceController,
  endpoints: openEndpointsController,
  'endpoint-slice-mirroring': openEndpointSliceMirroringController,
  scheduler: openScheduler,
  'service-load-balancer': (context, options) =>
    openServiceLoadBalancer(context, { pools: options.loadBalancerPools ?? [] }),
  'node-lifecycle': openNodeLifecycleController,
  'node-ttl': openNodeTtlController,
  'taint-eviction': openTaintEvictionController,
  'pod-gc': openPodGarbageCollector,
  'certificate-request-cleaner': openCertificateRequestCleaner,
  'garbage-collector': openGarbageCollector,
} as const satisfies Readonly<
  Record<string, (context: ControllerContext, options: ControllersOptions) => ReturnType<OpenController>>
>;

export type ControllerName = keyof typeof CONTROLLERS;

/** Who events are from (`source.component`) where it is not `NAME-controller`: the originals' names. */
const EVENT_SOURCES: Readonly<Partial<Record<ControllerName, string>>> = {
  'replica-set': 'replicaset-controller',
  'stateful-set': 'statefulset-controller',
  'daemon-set': 'daemonset-controller',
  'cron-job': 'cronjob-controller',
  disruption: 'controllermanager',
  'volume-binder': 'persistentvolume-controller',
  'horizontal-autoscaler': 'horizontal-pod-autoscaler',
  endpoints: 'endpoint-controller',
  scheduler: 'default-scheduler',
  'service-load-balancer': 'service-controller',
  'node-lifecycle': 'node-controller',
};

const sourceOf = (name: string): string => (name.endsWith('-controller') ? name : `${name}-controller`);

export const controllerNames = Object.keys(CONTROLLERS) as ControllerName[];

/**
 * Starts the loops and resolves when their caches are filled; with leader election it resolves at once and they
 * run while this process holds the lease. Disposal stops them in reverse order.
 */
export async function openControllers(
  deps: ControllersDeps,
  options: ControllersOptions = {},
): Promise<AsyncDisposable> {
  const { leaderElection } = options;
  const log = deps.log.with({ part: 'controllers' });
  if (!leaderElection) return await openLoops({ ...deps, log }, options);
  return openLeaderElection({ ...deps, log }, leaderElection, async (signal) => {
    await using _ = await openLoops({ ...deps, log }, options, signal);
    await aborted(signal);
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function openLoops(
  deps: ControllersDeps,
  options: ControllersOptions,
  signal?: AbortSignal,
): Promise<AsyncDisposable> {
  await using opening = new AsyncDisposableStack();
  const { client, clock, log, random, metrics } = deps;
  const shared = { clock, log, random, ...(metrics && { metrics }) };
  const informers = deps.informers ?? opening.use(openInformerFactory(client, shared));
  const events = opening.use(openEventRecorder({ ...shared, client }, { component: 'controllermanager' }));
  const ready = Promise.withResolvers<void>();
  for (const name of options.enabled ?? controllerNames) {
    const named = events.as(EVENT_SOURCES[name] ?? sourceOf(name));
    const context: ControllerContext = {
      ...shared,
      client,
      informers,
      events: named,
      ready: ready.promise,
    };
    opening.use(CONTROLLERS[name](context, options));
  }
  await informers.synced(signal);
  ready.resolve();
  return opening.move();
}
