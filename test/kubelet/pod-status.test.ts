import { describe, expect, it } from 'vitest';
import type { ContainerState, ContainerStatus, Pod, PodSpec } from '../../src/api/kinds/pod.ts';
import { podPhase, podStatus, type PodView } from '../../src/kubelet/pods/pod-status.ts';
import {
  formatDelay,
  restartDelayMs,
  restartLevel,
  shouldRestart,
} from '../../src/kubelet/containers/restart-policy.ts';

const RUNNING: ContainerState = { running: { startedAt: '2026-01-01T00:00:00Z' } };
const WAITING: ContainerState = { waiting: { reason: 'ContainerCreating' } };
const ended = (exitCode: number): ContainerState => ({ terminated: { exitCode } });

function status(name: string, state: ContainerState, more: Partial<ContainerStatus> = {}): ContainerStatus {
  return {
    name,
    image: '',
    imageID: '',
    ready: state.running !== undefined,
    started: state.running !== undefined,
    restartCount: 0,
    state,
    ...more,
  };
}

function view(more: Partial<PodView> & { spec?: Partial<PodSpec> }): PodView {
  const { spec, ...rest } = more;
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'a' }], ...spec },
  };
  return {
    pod,
    containers: [],
    initContainers: [],
    ephemeralContainers: [],
    initialized: true,
    prepared: true,
    ended: false,
    verdict: undefined,
    podIP: '127.244.0.1',
    hostIP: '127.0.0.1',
    startTimeMs: 0,
    nowMs: 1000,
    ...rest,
  };
}

describe('phase', () => {
  const crash = status('a', { waiting: { reason: 'CrashLoopBackOff' } }, { lastState: ended(1) });
  it.each<[string, PodView, string]>([
    ['nothing started', view({ containers: [status('a', WAITING)] }), 'Pending'],
    [
      'one runs, one is waiting',
      view({ containers: [status('a', RUNNING), status('b', WAITING)] }),
      'Pending',
    ],
    ['all run', view({ containers: [status('a', RUNNING)] }), 'Running'],
    ['one runs, one ended', view({ containers: [status('a', RUNNING), status('b', ended(1))] }), 'Running'],
    ['crash loop', view({ containers: [crash] }), 'Running'],
    ['Always: ended well', view({ containers: [status('a', ended(0))] }), 'Running'],
    [
      'Never: ended well',
      view({ spec: { restartPolicy: 'Never' }, containers: [status('a', ended(0))] }),
      'Succeeded',
    ],
    [
      'Never: failed',
      view({ spec: { restartPolicy: 'Never' }, containers: [status('a', ended(2))] }),
      'Failed',
    ],
    [
      'OnFailure: failed',
      view({ spec: { restartPolicy: 'OnFailure' }, containers: [status('a', ended(2))] }),
      'Running',
    ],
    ['deleted, ended well', view({ ended: true, containers: [status('a', ended(0))] }), 'Succeeded'],
    ['deleted, killed', view({ ended: true, containers: [status('a', ended(137))] }), 'Failed'],
    [
      'init runs',
      view({
        initialized: false,
        initContainers: [status('i', RUNNING)],
        containers: [status('a', WAITING)],
      }),
      'Pending',
    ],
    [
      'init failed, Never',
      view({ initialized: false, spec: { restartPolicy: 'Never' }, initContainers: [status('i', ended(1))] }),
      'Failed',
    ],
    [
      'deadline',
      view({ verdict: { reason: 'DeadlineExceeded', message: '' }, containers: [status('a', RUNNING)] }),
      'Failed',
    ],
  ])('%s', (_name, one, expected) => expect(podPhase(one)).toBe(expected));
});

describe('conditions', () => {
  const condition = (one: PodView, type: string, previous = {}): unknown =>
    podStatus(one, previous).conditions?.find((found) => found.type === type);

  it('names what is not ready', () => {
    const one = view({ containers: [status('a', RUNNING, { ready: false }), status('b', RUNNING)] });
    for (const type of ['Ready', 'ContainersReady']) {
      expect(condition(one, type)).toMatchObject({
        status: 'False',
        reason: 'ContainersNotReady',
        message: 'containers with unready status: [a]',
      });
    }
  });

  it('waits for readiness gates', () => {
    const one = view({
      spec: { readinessGates: [{ conditionType: 'x/y' }] },
      containers: [status('a', RUNNING)],
    });
    expect(condition(one, 'Ready')).toMatchObject({
      reason: 'ReadinessGatesNotReady',
      message: 'corresponding condition of pod readiness gate "x/y" does not exist.',
    });
    expect(condition(one, 'ContainersReady')).toMatchObject({ status: 'True' });
    expect(condition(one, 'Ready', { conditions: [{ type: 'x/y', status: 'True' }] })).toMatchObject({
      status: 'True',
    });
  });

  it('keeps the time of what did not change', () => {
    const one = view({ containers: [status('a', RUNNING)] });
    const before = {
      conditions: [{ type: 'Ready', status: 'True' as const, lastTransitionTime: '2020-01-01T00:00:00Z' }],
    };
    expect(condition(one, 'Ready', before)).toMatchObject({ lastTransitionTime: '2020-01-01T00:00:00Z' });
    expect(condition(one, 'Initialized', before)).toMatchObject({
      lastTransitionTime: '1970-01-01T00:00:01Z',
    });
  });
});

describe('restarts', () => {
  it('waits 0, 10, 20 ... 300 s and forgives after ten minutes', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 20].map(restartDelayMs)).toEqual([
      0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000,
    ]);
    expect([restartLevel(4, 599_999), restartLevel(4, 600_000)]).toEqual([4, 0]);
    expect([10_000, 160_000, 300_000].map(formatDelay)).toEqual(['10s', '2m40s', '5m0s']);
  });

  it('follows the policy of each role', () => {
    expect(shouldRestart('app', 'Always', 0)).toBe(true);
    expect(shouldRestart('app', 'OnFailure', 0)).toBe(false);
    expect(shouldRestart('app', 'Never', 1)).toBe(false);
    expect(shouldRestart('init', 'Always', 0)).toBe(false);
    expect(shouldRestart('init', 'Always', 1)).toBe(true);
    expect(shouldRestart('sidecar', 'Never', 0)).toBe(true);
  });
});
