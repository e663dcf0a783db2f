import { describe, expect, test } from 'vitest';
import { builtinKinds } from '../../../src/api/kinds/builtin.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { KindRegistry } from '../../../src/api/kinds/registry.ts';
import { summarizePod } from '../../../src/api/kinds/tables/pod.ts';

const registry = new KindRegistry(builtinKinds());
const NOW_MS = Date.UTC(2026, 0, 1, 1);
const MADE = { name: 'x', namespace: 'ns', creationTimestamp: '2026-01-01T00:00:00Z' };

function row(apiVersion: string, kind: string, fields: object): unknown[] {
  const found = registry.findByKind(apiVersion, kind);
  const object: UnknownObject = { apiVersion, kind, metadata: MADE, ...fields };
  return found?.printer.row(object, NOW_MS) ?? [];
}

const SPEC = { containers: [{ name: 'a' }] };
const running = { name: 'a', ready: true, restartCount: 0, state: { running: {} } };
const status = (one: object): object => ({ phase: 'Running', containerStatuses: [one] });
const init = (state: object, more: object = {}): object => ({
  spec: { ...SPEC, initContainers: [{ name: 'i' }, { name: 'j' }] },
  status: { phase: 'Pending', initContainerStatuses: [{ name: 'i', restartCount: 0, state, ...more }] },
});

describe('the STATUS of a pod', () => {
  test.each([
    ['its phase', { status: { phase: 'Pending' } }, 'Pending', 0],
    ['running', { spec: SPEC, status: status(running) }, 'Running', 1],
    [
      'waiting',
      {
        spec: SPEC,
        status: status({ ...running, ready: false, state: { waiting: { reason: 'CrashLoopBackOff' } } }),
      },
      'CrashLoopBackOff',
      0,
    ],
    ['ended with a code', { status: status({ state: { terminated: { exitCode: 3 } } }) }, 'ExitCode:3', 0],
    [
      'ended by a signal',
      { status: status({ state: { terminated: { exitCode: 137, signal: 9 } } }) },
      'Signal:9',
      0,
    ],
    [
      'completed',
      {
        status: {
          phase: 'Succeeded',
          containerStatuses: [{ state: { terminated: { reason: 'Completed', exitCode: 0 } } }],
        },
      },
      'Completed',
      0,
    ],
    ['evicted', { status: { phase: 'Failed', reason: 'Evicted' } }, 'Evicted', 0],
    [
      'gated',
      {
        status: {
          phase: 'Pending',
          conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }],
        },
      },
      'SchedulingGated',
      0,
    ],
    [
      'on its way out',
      { metadata: { deletionTimestamp: 'x' }, spec: SPEC, status: status(running) },
      'Terminating',
      1,
    ],
    [
      'on a lost node',
      { metadata: { deletionTimestamp: 'x' }, status: { phase: 'Running', reason: 'NodeLost' } },
      'Unknown',
      0,
    ],
    ['first of two inits', init({ running: {} }), 'Init:0/2', 0],
    ['an init that failed', init({ terminated: { exitCode: 1, reason: 'Error' } }), 'Init:Error', 0],
    ['an init without reason', init({ terminated: { exitCode: 2 } }), 'Init:ExitCode:2', 0],
    ['an init that backs off', init({ waiting: { reason: 'CrashLoopBackOff' } }), 'Init:CrashLoopBackOff', 0],
  ])('%s', (_name, pod, want, ready) => {
    expect(summarizePod(pod)).toMatchObject({ status: want, ready });
  });

  test('sidecars count as containers', () => {
    const pod = {
      spec: { ...SPEC, initContainers: [{ name: 's', restartPolicy: 'Always' }] },
      status: {
        phase: 'Running',
        containerStatuses: [running],
        initContainerStatuses: [
          { name: 's', ready: true, started: true, restartCount: 2, state: { running: {} } },
        ],
      },
    };
    expect(summarizePod(pod)).toMatchObject({ ready: 2, total: 2, restarts: 2, status: 'Running' });
  });

  test('restarts say when the last one was', () => {
    const last = { terminated: { finishedAt: '2026-01-01T00:50:00Z' } };
    const pod = {
      spec: SPEC,
      status: { ...status({ ...running, restartCount: 3, lastState: last }), podIP: '1.2.3.4' },
    };
    expect(row('v1', 'Pod', pod)).toEqual([
      'x',
      '1/1',
      'Running',
      '3 (10m ago)',
      '60m',
      '1.2.3.4',
      '<none>',
      '<none>',
      '<none>',
    ]);
  });
});

const slice = { addressType: 'IPv4', ports: [{ port: 80 }], endpoints: [{ addresses: ['1.1.1.1'] }] };
const addresses = ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4', '1.1.1.5'].map((ip) => ({ ip }));

test.each([
  [
    'a ClusterIP service',
    'v1',
    'Service',
    {
      spec: {
        type: 'ClusterIP',
        clusterIP: '10.0.0.1',
        ports: [{ port: 80, protocol: 'TCP' }],
        selector: { b: '2', a: '1' },
      },
    },
    ['x', 'ClusterIP', '10.0.0.1', '<none>', '80/TCP', '60m', 'a=1,b=2'],
  ],
  [
    'a pending LoadBalancer',
    'v1',
    'Service',
    {
      spec: {
        type: 'LoadBalancer',
        clusterIP: '10.0.0.1',
        ports: [{ port: 80, nodePort: 30_080, protocol: 'TCP' }],
      },
    },
    ['x', 'LoadBalancer', '10.0.0.1', '<pending>', '80:30080/TCP', '60m', '<none>'],
  ],
  [
    'an ExternalName',
    'v1',
    'Service',
    { spec: { type: 'ExternalName', externalName: 'a.b' } },
    ['x', 'ExternalName', '<none>', 'a.b', '<none>', '60m', '<none>'],
  ],
  [
    'endpoints',
    'v1',
    'Endpoints',
    { subsets: [{ addresses, ports: [{ port: 80 }] }] },
    ['x', '1.1.1.1:80,1.1.1.2:80,1.1.1.3:80 + 2 more...', '60m'],
  ],
  ['a slice', 'discovery.k8s.io/v1', 'EndpointSlice', slice, ['x', 'IPv4', '80', '1.1.1.1', '60m']],
  [
    'an empty slice',
    'discovery.k8s.io/v1',
    'EndpointSlice',
    { addressType: 'IPv6' },
    ['x', 'IPv6', '<unset>', '<unset>', '60m'],
  ],
  [
    'an ingress',
    'networking.k8s.io/v1',
    'Ingress',
    {
      spec: { ingressClassName: 'weft', tls: [{}], rules: [{ host: 'a.b' }, {}] },
      status: { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } },
    },
    ['x', 'weft', 'a.b', '1.2.3.4', '80, 443', '60m'],
  ],
  [
    'a cordoned node',
    'v1',
    'Node',
    {
      metadata: { ...MADE, labels: { 'node-role.kubernetes.io/control-plane': '' } },
      spec: { unschedulable: true },
      status: { conditions: [{ type: 'Ready', status: 'True' }], nodeInfo: { kubeletVersion: 'v1' } },
    },
    [
      'x',
      'Ready,SchedulingDisabled',
      'control-plane',
      '60m',
      'v1',
      '<none>',
      '<none>',
      '<unknown>',
      '<unknown>',
      '<unknown>',
    ],
  ],
  [
    'a deployment',
    'apps/v1',
    'Deployment',
    {
      spec: {
        replicas: 3,
        selector: { matchLabels: { a: 'b' } },
        template: {
          spec: {
            containers: [
              { name: 'c', image: 'i' },
              { name: 'd', image: 'j' },
            ],
          },
        },
      },
      status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 },
    },
    ['x', '2/3', 3, 2, '60m', 'c,d', 'i,j', 'a=b'],
  ],
  [
    'a job',
    'batch/v1',
    'Job',
    { spec: { completions: 2 }, status: { succeeded: 1, startTime: '2026-01-01T00:59:00Z' } },
    ['x', 'Running', '1/2', '60s', '60m', '', '', '<none>'],
  ],
  ['a secret', 'v1', 'Secret', { type: 'Opaque', data: { a: '', b: '' } }, ['x', 'Opaque', 2, '60m']],
  [
    'an event',
    'v1',
    'Event',
    {
      type: 'Normal',
      reason: 'R',
      message: ' m ',
      count: 4,
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:59:30Z',
      involvedObject: { kind: 'Pod', name: 'p' },
      source: { component: 'c' },
    },
    ['30s (x4 over 60m)', 'Normal', 'R', 'pod/p', '', 'c', 'm', '60m', 4, 'x'],
  ],
  [
    'an autoscaler',
    'autoscaling/v2',
    'HorizontalPodAutoscaler',
    {
      spec: {
        scaleTargetRef: { kind: 'Deployment', name: 'd' },
        minReplicas: 1,
        maxReplicas: 3,
        metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { averageUtilization: 80 } } }],
      },
    },
    ['x', 'Deployment/d', 'cpu: <unknown>/80%', '1', 3, 0, '60m'],
  ],
  [
    'a budget',
    'policy/v1',
    'PodDisruptionBudget',
    { spec: { minAvailable: '50%' } },
    ['x', '50%', 'N/A', 0, '60m'],
  ],
] as const)('the row of %s', (_name, apiVersion, kind, fields, want) => {
  expect(row(apiVersion, kind, fields)).toEqual(want);
});
