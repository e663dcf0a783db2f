import { secondTime } from '../../api/kinds/lease.ts';
import type { Condition } from '../../api/kinds/meta.ts';
import type { ContainerStatus, Pod, PodStatus } from '../../api/kinds/pod.ts';
import { qosClass } from './qos.ts';

/** All a status is computed from: what the containers do, and the marks of the pod's life. */
export interface PodView {
  readonly pod: Pod;
  readonly containers: readonly ContainerStatus[];
  readonly initContainers: readonly ContainerStatus[];
  readonly ephemeralContainers: readonly ContainerStatus[];
  /** All init containers are done (sidecars: started). */
  readonly initialized: boolean;
  /** Its folder, address and volumes are there. */
  readonly prepared: boolean;
  /** No container runs and none will. */
  readonly ended: boolean;
  /** A phase the pod was brought to from outside of its containers (deadline, refusal). */
  readonly verdict: { readonly reason: string; readonly message: string } | undefined;
  readonly podIP: string | undefined;
  readonly hostIP: string;
  readonly startTimeMs: number;
  readonly nowMs: number;
}

type Phase = NonNullable<PodStatus['phase']>;

/** The kubelet's own conditions; all others belong to somebody else and stay. */
export const OWN_CONDITIONS: ReadonlySet<string> = new Set([
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
]);

/**
 * The status as the original kubelet words it. `previous` gives the transition times of conditions that did
 * not change and the conditions of others.
 */
export function podStatus(view: PodView, previous: PodStatus | undefined): PodStatus {
  const phase = podPhase(view);
  const addresses = view.podIP === undefined ? {} : { podIP: view.podIP, podIPs: [{ ip: view.podIP }] };
  return {
    phase,
    ...(view.verdict && phase === 'Failed' && view.verdict),
    hostIP: view.hostIP,
    hostIPs: [{ ip: view.hostIP }],
    ...addresses,
    startTime: secondTime(view.startTimeMs),
    qosClass: previous?.qosClass ?? qosClass(view.pod),
    conditions: conditionsOf(view, phase, previous?.conditions ?? []),
    containerStatuses: [...view.containers],
    ...(view.initContainers.length > 0 && { initContainerStatuses: [...view.initContainers] }),
    ...(view.ephemeralContainers.length > 0 && {
      ephemeralContainerStatuses: [...view.ephemeralContainers],
    }),
  };
}

/** Pending, Running, Succeeded or Failed, by the rules of kubelet's getPhase. */
export function podPhase(view: PodView): Phase {
  if (view.verdict) return 'Failed';
  const policy = view.pod.spec.restartPolicy ?? 'Always';
  const failedInit = view.initContainers.some(
    (status) => (status.state?.terminated?.exitCode ?? 0) !== 0 && !isSidecar(view.pod, status.name),
  );
  if (!view.initialized) {
    if (view.ended) return 'Failed';
    return failedInit && policy === 'Never' ? 'Failed' : 'Pending';
  }
  const counts = countStates(view.containers);
  if (view.ended) return counts.failed > 0 || counts.waiting > 0 ? 'Failed' : 'Succeeded';
  if (counts.waiting > 0) return 'Pending';
  if (counts.running > 0) return 'Running';
  const sidecarRuns = view.initContainers.some(
    (status) => status.state?.running && isSidecar(view.pod, status.name),
  );
  if (policy === 'Always' || sidecarRuns) return 'Running';
  if (counts.failed === 0) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
}

function countStates(statuses: readonly ContainerStatus[]): {
  waiting: number;
  running: number;
  failed: number;
} {
  const counts = { waiting: 0, running: 0, failed: 0 };
  for (const { state, lastState } of statuses) {
    const terminated = state?.terminated ?? (state?.waiting ? lastState?.terminated : undefined);
    if (state?.running) counts.running++;
    else if (!terminated) counts.waiting++;
    else if (terminated.exitCode !== 0) counts.failed++;
  }
  return counts;
}

export function isSidecar(pod: Pod, name: string): boolean {
  return pod.spec.initContainers?.some((one) => one.name === name && one.restartPolicy === 'Always') ?? false;
}

function conditionsOf(view: PodView, phase: Phase, previous: readonly Condition[]): Condition[] {
  const ready = containersReady(view, phase);
  const own = [
    { type: 'PodReadyToStartContainers', status: truth(view.prepared && !view.ended) },
    initializedCondition(view, phase),
    readyCondition(view, ready, previous),
    { ...ready, type: 'ContainersReady' },
    { type: 'PodScheduled', status: 'True' as const },
  ];
  const others = previous.filter(({ type }) => !OWN_CONDITIONS.has(type));
  return [...own.map((next) => withTransition(next, previous, view.nowMs)), ...others];
}

function initializedCondition(view: PodView, phase: Phase): Condition {
  if (view.initialized) {
    const completed = phase === 'Succeeded' ? { reason: 'PodCompleted' } : {};
    return { type: 'Initialized', status: 'True', ...completed };
  }
  const missing = view.initContainers
    .filter((status) =>
      isSidecar(view.pod, status.name) ? !status.started : status.state?.terminated?.exitCode !== 0,
    )
    .map(({ name }) => name);
  const message = `containers with incomplete status: [${missing.join(' ')}]`;
  return { type: 'Initialized', status: 'False', reason: 'ContainersNotInitialized', message };
}

function containersReady(view: PodView, phase: Phase): Condition {
  const type = 'ContainersReady';
  if (phase === 'Succeeded') return { type, status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { type, status: 'False', reason: 'PodFailed' };
  const sidecars = view.initContainers.filter((status) => isSidecar(view.pod, status.name));
  const unready = [...sidecars, ...view.containers].filter((status) => !status.ready).map(({ name }) => name);
  if (unready.length === 0) return { type, status: 'True' };
  const message = `containers with unready status: [${unready.join(' ')}]`;
  return { type, status: 'False', reason: 'ContainersNotReady', message };
}

/** The containers, and each readiness gate's condition, which somebody else sets. */
function readyCondition(view: PodView, containers: Condition, previous: readonly Condition[]): Condition {
  if (containers.status !== 'True') return { ...containers, type: 'Ready' };
  const complaints = (view.pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const found = previous.find(({ type }) => type === conditionType);
    if (!found) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    if (found.status === 'True') return [];
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`];
  });
  if (complaints.length === 0) return { type: 'Ready', status: 'True' };
  return { type: 'Ready', status: 'False', reason: 'ReadinessGatesNotReady', message: complaints.join(', ') };
}

function withTransition(next: Condition, previous: readonly Condition[], nowMs: number): Condition {
  const before = previous.find(({ type }) => type === next.type);
  const kept = before?.status === next.status ? before.lastTransitionTime : undefined;
  return { ...next, lastTransitionTime: kept ?? secondTime(nowMs) };
}

function truth(value: boolean): 'True' | 'False' {
  return value ? 'True' : 'False';
}
