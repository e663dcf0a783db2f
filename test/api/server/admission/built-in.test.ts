import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../../support/wait-for.ts';
import { openTestServer, patchType, type TestServer } from '../support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const pods = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;
const container = (more: object = {}): object => ({ name: 'c', image: 'i', ...more });
const pod = (name: string, spec: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...metadata },
  spec: { containers: [container()], ...spec },
});

async function namespace(name: string, labels: object = {}): Promise<void> {
  await server.call('POST', '/api/v1/namespaces', {
    kind: 'Namespace',
    apiVersion: 'v1',
    metadata: { name, labels },
  });
}

const resources = (requests: object, limits: object = {}): object => ({
  containers: [container({ resources: { requests, limits } })],
});

describe('TaintNodesByCondition', () => {
  it('gives new nodes the taint of those that are not ready, once', async () => {
    const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
    const other = { key: 'a', effect: 'NoExecute' };
    for (const [name, given, taints] of [
      ['plain', {}, [notReady]],
      ['tainted', { taints: [other] }, [other, notReady]],
      ['known', { taints: [notReady] }, [notReady]],
    ] as const) {
      const { body } = await server.call('POST', '/api/v1/nodes', { metadata: { name }, spec: given });
      expect(body.spec.taints).toEqual(taints);
      const changed = await server.call(
        'PATCH',
        `/api/v1/nodes/${name}`,
        { spec: { taints: null } },
        patchType.merge,
      );
      expect(changed.body.spec.taints).toBeUndefined();
    }
  });
});

describe('RuntimeClass', () => {
  it('gives pods what their class asks for, and refuses pods of no class', async () => {
    await server.call('POST', '/apis/node.k8s.io/v1/runtimeclasses', {
      metadata: { name: 'vm' },
      handler: 'vm',
      overhead: { podFixed: { cpu: '100m' } },
      scheduling: {
        nodeSelector: { vm: 'yes' },
        tolerations: [{ key: 'vm', operator: 'Exists', effect: 'NoSchedule' }],
      },
    });
    const made = await server.call('POST', pods('default'), pod('in-vm', { runtimeClassName: 'vm' }));
    expect(made.body.spec).toMatchObject({ overhead: { cpu: '100m' }, nodeSelector: { vm: 'yes' } });
    expect(made.body.spec.tolerations).toContainEqual({
      key: 'vm',
      operator: 'Exists',
      effect: 'NoSchedule',
    });
    const refusals: [object, string][] = [
      [{ runtimeClassName: 'nope' }, 'RuntimeClass "nope" not found'],
      [{ overhead: { cpu: '1' } }, 'Pod Overhead set without corresponding RuntimeClass defined Overhead'],
      [
        { runtimeClassName: 'vm', nodeSelector: { vm: 'no' } },
        'conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no',
      ],
    ];
    for (const [spec, why] of refusals) {
      const { status, body } = await server.call('POST', pods('default'), pod('x', spec));
      expect([status, body.message]).toEqual([403, `pods "x" is forbidden: pod rejected: ${why}`]);
    }
  });
});

describe('Priority', () => {
  it('resolves classes, the default one and the system ones', async () => {
    const classes = '/apis/scheduling.k8s.io/v1/priorityclasses';
    const made = (await server.call('POST', pods('default'), pod('plain'))).body;
    expect([made.spec.priority, made.spec.preemptionPolicy]).toEqual([0, 'PreemptLowerPriority']);
    const system = await server.call(
      'POST',
      pods('kube-system'),
      pod('s', { priorityClassName: 'system-node-critical' }),
    );
    expect(system.body.spec.priority).toBe(2_000_001_000);
    const missing = await server.call('POST', pods('default'), pod('x', { priorityClassName: 'nope' }));
    expect([missing.status, missing.body.message]).toEqual([
      403,
      'pods "x" is forbidden: no PriorityClass with name nope was found',
    ]);
    const low = {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name: 'low' },
      value: 7,
      globalDefault: true,
    };
    await server.call('POST', classes, low);
    expect((await server.call('POST', pods('default'), pod('d'))).body.spec).toMatchObject({
      priority: 7,
      priorityClassName: 'low',
    });
    const second = await server.call('POST', classes, { ...low, metadata: { name: 'other' } });
    expect(second.body.message).toContain('PriorityClass low is already marked as default');
    const wrong = await server.call('POST', pods('default'), pod('w', { priority: 3 }));
    expect(wrong.body.message).toContain(
      'the integer value of priority (3) must not be provided in pod spec',
    );
    await server.call('DELETE', `${classes}/low`);
  });
});

describe('defaults', () => {
  it('add tolerations that are missing', async () => {
    const key = 'node.kubernetes.io/not-ready';
    const own = [{ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 1 }];
    const { body } = await server.call('POST', pods('default'), pod('tolerant', { tolerations: own }));
    expect(body.spec.tolerations).toEqual([
      ...own,
      {
        key: 'node.kubernetes.io/unreachable',
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 300,
      },
    ]);
  });

  it('give ingresses and claims the default class', async () => {
    const classOf = async (path: string, object: object): Promise<unknown> =>
      (await server.call('POST', path, object)).body.spec;
    const ingress = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { generateName: 'i' },
      spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } } },
    };
    const claim = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { generateName: 'c' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    };
    const ingresses = '/apis/networking.k8s.io/v1/namespaces/default/ingresses';
    const claims = '/api/v1/namespaces/default/persistentvolumeclaims';
    expect(await classOf(ingresses, ingress)).not.toHaveProperty('ingressClassName');
    await server.call('POST', '/apis/networking.k8s.io/v1/ingressclasses', {
      kind: 'IngressClass',
      apiVersion: 'networking.k8s.io/v1',
      metadata: { name: 'web', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
      spec: { controller: 'x.io/y' },
    });
    await server.call('POST', '/apis/storage.k8s.io/v1/storageclasses', {
      kind: 'StorageClass',
      apiVersion: 'storage.k8s.io/v1',
      metadata: { name: 'disk', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'x.io/y',
    });
    expect(await classOf(ingresses, ingress)).toMatchObject({ ingressClassName: 'web' });
    expect(await classOf(claims, claim)).toMatchObject({ storageClassName: 'disk' });
    expect(await classOf(claims, { ...claim, spec: { ...claim.spec, storageClassName: '' } })).toMatchObject({
      storageClassName: '',
    });
  });
});

describe('LimitRanger', () => {
  beforeAll(async () => {
    await namespace('limited');
    await server.call('POST', '/api/v1/namespaces/limited/limitranges', {
      kind: 'LimitRange',
      apiVersion: 'v1',
      metadata: { name: 'l' },
      spec: {
        limits: [
          {
            type: 'Container',
            default: { cpu: '500m' },
            defaultRequest: { cpu: '250m' },
            min: { cpu: '100m' },
            max: { cpu: '1' },
            maxLimitRequestRatio: { cpu: '4' },
          },
          { type: 'Pod', max: { memory: '1Gi' } },
          { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } },
        ],
      },
    });
  });

  it('fills requests and limits', async () => {
    const spec = resources({ memory: '1Mi' }, { memory: '1Mi' });
    const { body } = await server.call('POST', pods('limited'), pod('filled', spec));
    expect(body.spec.containers[0].resources).toEqual({
      requests: { memory: '1Mi', cpu: '250m' },
      limits: { memory: '1Mi', cpu: '500m' },
    });
    expect(body.metadata.annotations['kubernetes.io/limit-ranger']).toBe(
      'LimitRanger plugin set: cpu limit for container c; cpu request for container c',
    );
  });

  const refused: readonly (readonly [spec: object, text: string])[] = [
    [
      resources({ cpu: '1', memory: '1Mi' }, { cpu: '2', memory: '1Mi' }),
      'maximum cpu usage per Container is 1, but limit is 2',
    ],
    [
      resources({ cpu: '50m', memory: '1Mi' }, { cpu: '200m', memory: '1Mi' }),
      'minimum cpu usage per Container is 100m, but request is 50m',
    ],
    [
      resources({ cpu: '100m', memory: '1Mi' }, { cpu: '1', memory: '1Mi' }),
      'cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000',
    ],
    [
      resources({ memory: '2Gi' }, { memory: '2Gi' }),
      'maximum memory usage per Pod is 1Gi, but limit is 2Gi',
    ],
    [{}, 'maximum memory usage per Pod is 1Gi.  No limit is specified'],
  ];
  it.each(refused)('refuses %j', async (spec, text) => {
    const { status, body } = await server.call('POST', pods('limited'), pod('refused', spec));
    expect([status, body.message]).toEqual([403, `pods "refused" is forbidden: ${text}`]);
  });

  it('judges claims', async () => {
    const { body } = await server.call('POST', '/api/v1/namespaces/limited/persistentvolumeclaims', {
      kind: 'PersistentVolumeClaim',
      apiVersion: 'v1',
      metadata: { name: 'big' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '3Gi' } } },
    });
    expect(body.message).toContain(
      'maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi',
    );
  });
});

describe('ResourceQuota', () => {
  const quotas = (name: string): string => `/api/v1/namespaces/${name}/resourcequotas`;
  const quota = (hard: object, more: object = {}): object => ({
    kind: 'ResourceQuota',
    apiVersion: 'v1',
    metadata: { name: 'q' },
    spec: { hard, ...more },
  });
  const used = async (name: string): Promise<unknown> =>
    (await server.call('GET', `${quotas(name)}/q`)).body.status?.used;
  const until = async (name: string, want: object): Promise<void> => {
    await waitFor(`${JSON.stringify(want)} used`, async () => {
      expect(await used(name)).toEqual(want);
      return true;
    });
  };

  it('counts what is there, refuses what is too much, gives back what goes', async () => {
    await namespace('counted');
    await server.call('POST', pods('counted'), pod('a', resources({ cpu: '1' })));
    await server.call('POST', quotas('counted'), quota({ pods: '2', 'requests.cpu': '3' }));
    await until('counted', { pods: '1', 'requests.cpu': '1' });
    const second = await server.call('POST', pods('counted'), pod('b', resources({ cpu: '1500m' })));
    expect(second.status).toBe(201);
    expect(await used('counted')).toEqual({ pods: '2', 'requests.cpu': '2500m' });
    const third = await server.call('POST', pods('counted'), pod('c', resources({ cpu: '1' })));
    expect([third.status, third.body.message]).toEqual([
      403,
      'pods "c" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=1, used: pods=2,requests.cpu=2500m, limited: pods=2,requests.cpu=3',
    ]);
    const silent = await server.call('POST', pods('counted'), pod('d'));
    expect(silent.body.message).toContain('failed quota: q: must specify requests.cpu for: c');
    await server.call('DELETE', `${pods('counted')}/b?gracePeriodSeconds=0`);
    await until('counted', { pods: '1', 'requests.cpu': '1' });
    await server.call(
      'PATCH',
      `${pods('counted')}/a/status`,
      { status: { phase: 'Succeeded' } },
      patchType.merge,
    );
    await until('counted', { pods: '0', 'requests.cpu': '0' });
  });

  it('lets exactly as many in as fit, however many ask at once', async () => {
    await namespace('raced'); // it gets a ConfigMap at some time, never a Secret
    await server.call('POST', quotas('raced'), quota({ 'count/secrets': '5' }));
    await until('raced', { 'count/secrets': expect.any(String) });
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        server.call('POST', '/api/v1/namespaces/raced/secrets', {
          kind: 'Secret',
          apiVersion: 'v1',
          metadata: { name: `m${index}` },
        }),
      ),
    );
    const made = replies.filter(({ status }) => status === 201).length;
    expect(made).toBe(5);
    expect(replies.every(({ status }) => [201, 403].includes(status))).toBe(true);
  });

  it('keeps to its scopes', async () => {
    await namespace('scoped');
    await server.call('POST', quotas('scoped'), quota({ pods: '0' }, { scopes: ['BestEffort'] }));
    await until('scoped', { pods: '0' });
    expect((await server.call('POST', pods('scoped'), pod('best'))).status).toBe(403);
    expect((await server.call('POST', pods('scoped'), pod('burst', resources({ cpu: '1' })))).status).toBe(
      201,
    );
    const dry = await server.call('POST', `${pods('scoped')}?dryRun=All`, pod('best'));
    expect(dry.status).toBe(403);
  });

  it('books services by type', async () => {
    await namespace('services');
    await server.call('POST', quotas('services'), quota({ 'services.loadbalancers': '0', services: '5' }));
    await until('services', { 'services.loadbalancers': '0', services: '0' });
    const service = (type: string): object => ({
      kind: 'Service',
      apiVersion: 'v1',
      metadata: { name: 's' },
      spec: { type, ports: [{ port: 80 }] },
    });
    const path = '/api/v1/namespaces/services/services';
    expect((await server.call('POST', path, service('ClusterIP'))).status).toBe(201);
    const changed = await server.call(
      'PATCH',
      `${path}/s`,
      { spec: { type: 'LoadBalancer' } },
      patchType.merge,
    );
    expect(changed.body.message).toContain('exceeded quota: q, requested: services.loadbalancers=1');
  });
});

describe('PodSecurity', () => {
  const safe = {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      container({ securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }),
    ],
  };
  beforeAll(async () => {
    await namespace('restricted', {
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/warn': 'restricted',
    });
    await namespace('baseline', { 'pod-security.kubernetes.io/enforce': 'baseline' });
  });

  it('says all that a restricted namespace misses', async () => {
    const { status, body } = await server.call('POST', pods('restricted'), pod('bad'));
    expect([status, body.message]).toEqual([
      403,
      'pods "bad" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ]);
    expect((await server.call('POST', pods('restricted'), pod('good', safe))).status).toBe(201);
  });

  const baseline: readonly (readonly [name: string, spec: object])[] = [
    ['host namespaces (hostNetwork=true)', { hostNetwork: true }],
    [
      'privileged (container "c" must not set',
      { containers: [container({ securityContext: { privileged: true } })] },
    ],
    ['hostPath volumes (volume "v")', { volumes: [{ name: 'v', hostPath: { path: '/' } }] }],
    [
      'hostPort (container "c" uses hostPort 80)',
      { containers: [container({ ports: [{ containerPort: 80, hostPort: 80 }] })] },
    ],
    [
      'non-default capabilities (container "c" must not include "SYS_ADMIN"',
      { containers: [container({ securityContext: { capabilities: { add: ['SYS_ADMIN'] } } })] },
    ],
    ['seccompProfile (', { securityContext: { seccompProfile: { type: 'Unconfined' } } }],
    [
      'forbidden sysctls (kernel.msgmax)',
      { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
    ],
    ['seLinuxOptions (', { securityContext: { seLinuxOptions: { type: 'spc_t' } } }],
  ];
  it.each(baseline)('refuses under baseline: %s', async (text, spec) => {
    const { status, body } = await server.call('POST', pods('baseline'), pod('bad', spec));
    expect(status).toBe(403);
    expect(body.message).toContain(`violates PodSecurity "baseline:latest": ${text}`);
  });

  it('warns of workloads, and of pods there when a namespace gets stricter', async () => {
    const labels = { app: 'x' };
    const made = await server.call('POST', '/apis/apps/v1/namespaces/restricted/deployments', {
      kind: 'Deployment',
      apiVersion: 'apps/v1',
      metadata: { name: 'd' },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container()] } },
      },
    });
    expect(made.status).toBe(201);
    expect(made.headers['warning']).toContain(
      'would violate PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation',
    );
    await namespace('later');
    await server.call('POST', pods('later'), pod('there', { hostPID: true }));
    const stricter = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } } };
    const reply = await server.call('PATCH', '/api/v1/namespaces/later', stricter, patchType.merge);
    expect(reply.headers['warning']).toContain(
      'existing pods in namespace \\"later\\" violate the new PodSecurity enforce level',
    );
    const wrong = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'high' } } };
    expect((await server.call('PATCH', '/api/v1/namespaces/later', wrong, patchType.merge)).status).toBe(422);
  });
});
