import { describe, expect, test } from 'vitest';
import { builtinKinds } from '../../../src/api/kinds/builtin.ts';
import { formatFieldError } from '../../../src/api/kinds/field-error.ts';
import { cloneJson, type JsonObject } from '../../../src/api/kinds/json-value.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { joinApiVersion, type KindInfo, KindRegistry } from '../../../src/api/kinds/registry.ts';

const registry = new KindRegistry(builtinKinds());

function kindOf(apiVersion: string, kind: string): KindInfo {
  const found = registry.findByKind(apiVersion, kind);
  if (!found) throw new Error(`${apiVersion} ${kind}`);
  return found;
}

function make(
  apiVersion: string,
  kind: string,
  fields: JsonObject,
  metadata: JsonObject = {},
): UnknownObject {
  const namespace = kindOf(apiVersion, kind).namespaced ? { namespace: 'ns' } : {};
  return {
    apiVersion,
    kind,
    metadata: { name: 'x', ...namespace, ...metadata },
    ...cloneJson(fields),
  };
}

/** What a create would answer: errors as text, after defaults. */
function create(object: UnknownObject): string[] {
  const kind = kindOf(object.apiVersion, object.kind);
  kind.prepareCreate(object);
  kind.defaults(object);
  return kind.validate(object).map(formatFieldError);
}

function stored(object: UnknownObject): UnknownObject {
  expect(create(object)).toEqual([]);
  return object;
}

/** What an update would answer. */
function update(object: UnknownObject, old: UnknownObject): string[] {
  const kind = kindOf(object.apiVersion, object.kind);
  kind.defaults(object);
  kind.prepareUpdate(object, old);
  return kind.validateUpdate(object, old).map(formatFieldError);
}

function service(spec: JsonObject, metadata: JsonObject = {}): UnknownObject {
  return make('v1', 'Service', { spec }, metadata);
}

const PORTS = [{ port: 80 }];
const POD_SPEC = { containers: [{ name: 'a', image: 'nginx:1' }] };

function deployment(spec: JsonObject = {}, labels: JsonObject = { app: 'x' }): UnknownObject {
  const template = { metadata: { labels }, spec: cloneJson(POD_SPEC) };
  return make('apps/v1', 'Deployment', {
    spec: { selector: { matchLabels: { app: 'x' } }, template, ...spec },
  });
}

describe('metadata', () => {
  const label = 'must consist of alphanumeric characters';
  test.each([
    ['no name', { name: '' }, 'metadata.name: Required value: name or generateName is required'],
    [
      'a name with capitals',
      { name: 'Ab' },
      "metadata.name: Invalid value: \"Ab\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ],
    [
      'a name too long',
      { name: 'a'.repeat(254) },
      `metadata.name: Invalid value: "${'a'.repeat(254)}": must be no more than 253 characters`,
    ],
    ['no namespace', { namespace: '' }, 'metadata.namespace: Required value'],
    ['a label value', { labels: { a: '-b' } }, 'a valid label must be an empty string or'],
    ['a label key with two slashes', { labels: { 'a/b/c': '' } }, label],
    [
      'annotations too large',
      { annotations: { a: 'x'.repeat(262_144) } },
      'metadata.annotations: Too long: may not be more than 262144 bytes',
    ],
    [
      'an owner without uid',
      { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p' }] },
      'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
    ],
    ['a finalizer', { finalizers: ['a b'] }, label],
  ])('%s', (_name, metadata, want) => {
    expect(create(make('v1', 'ConfigMap', {}, metadata)).join('\n')).toContain(want);
  });

  test('a generateName may end in a dash', () => {
    expect(create(make('v1', 'ConfigMap', {}, { generateName: 'abc-' }))).toEqual([]);
  });

  test('cluster-scoped objects have no namespace', () => {
    expect(create(make('v1', 'Namespace', {}, { namespace: 'a' }))).toContain(
      'metadata.namespace: Forbidden: not allowed on this type',
    );
  });

  test('finalizers cannot come while it goes', () => {
    const old = make(
      'v1',
      'ConfigMap',
      {},
      { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['a/b'] },
    );
    const next = cloneJson(old);
    next.metadata.finalizers = ['a/b', 'c/d'];
    expect(update(next, old)).toEqual([
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"c/d"}',
    ]);
  });

  test('a uid cannot change', () => {
    const old = make('v1', 'ConfigMap', {}, { uid: 'a' });
    expect(update(make('v1', 'ConfigMap', {}, { uid: 'b' }), old)).toEqual([
      'metadata.uid: Invalid value: "b": field is immutable',
    ]);
  });
});

describe('Service', () => {
  test('defaults', () => {
    expect(stored(service({ ports: PORTS }))['spec']).toEqual({
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
    });
    expect(
      stored(service({ ports: PORTS, type: 'LoadBalancer', sessionAffinity: 'ClientIP' }))['spec'],
    ).toMatchObject({
      externalTrafficPolicy: 'Cluster',
      allocateLoadBalancerNodePorts: true,
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } },
    });
    expect(stored(service({ ports: PORTS, clusterIP: 'None' }))['spec']).toMatchObject({
      clusterIPs: ['None'],
    });
  });

  test.each([
    ['no ports', {}, 'spec.ports: Required value'],
    ['two ports without names', { ports: [{ port: 1 }, { port: 2 }] }, 'spec.ports[0].name: Required value'],
    [
      'a port name twice',
      {
        ports: [
          { port: 1, name: 'a' },
          { port: 2, name: 'a' },
        ],
      },
      'spec.ports[1].name: Duplicate value: "a"',
    ],
    [
      'a port out of range',
      { ports: [{ port: 70_000 }] },
      'spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive',
    ],
    [
      'a protocol',
      { ports: [{ port: 1, protocol: 'tcp' }] },
      'spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
    ],
    [
      'a type',
      { ports: PORTS, type: 'Foo' },
      'spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ],
    [
      'a headless NodePort',
      { ports: PORTS, type: 'NodePort', clusterIP: 'None' },
      `spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`,
    ],
    ['ExternalName without a name', { type: 'ExternalName' }, 'spec.externalName: Required value'],
    [
      'a node port on ClusterIP',
      { ports: [{ port: 1, nodePort: 30_000 }] },
      "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ],
    [
      'an address',
      { ports: PORTS, clusterIP: '1.2.3' },
      'spec.clusterIPs[0]: Invalid value: "1.2.3": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
    [
      'a loopback external address',
      { ports: PORTS, externalIPs: ['127.0.0.1'] },
      'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    ],
    [
      'affinity too long',
      {
        ports: PORTS,
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } },
      },
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400',
    ],
    [
      'external policy inside',
      { ports: PORTS, externalTrafficPolicy: 'Local' },
      'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    ],
    [
      'a family',
      { ports: PORTS, ipFamilies: ['IPv5'] },
      'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"',
    ],
  ])('%s', (_name, spec, want) => {
    expect(create(service(spec))).toContain(want);
  });

  test('a name must start with a letter', () => {
    expect(create(service({ ports: PORTS }, { name: '1a' })).join()).toContain(
      'a DNS-1035 label must consist of',
    );
  });

  test('an update that leaves allocations out keeps them', () => {
    const old = stored(
      service({ ports: [{ port: 80, nodePort: 30_080 }], type: 'NodePort', clusterIP: '10.0.0.1' }),
    );
    const next = service({ ports: PORTS, type: 'NodePort' });
    expect(update(next, old)).toEqual([]);
    expect(next['spec']).toMatchObject({
      clusterIP: '10.0.0.1',
      clusterIPs: ['10.0.0.1'],
      ports: [{ nodePort: 30_080 }],
    });
  });

  test('a cluster address cannot change; a type that has none drops all', () => {
    const old = stored(service({ ports: PORTS, clusterIP: '10.0.0.1' }));
    expect(update(service({ ports: PORTS, clusterIP: 'None' }), old)).toContain(
      'spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set',
    );
    const external = service({
      type: 'ExternalName',
      externalName: 'a.b',
      clusterIP: '10.0.0.1',
      clusterIPs: ['10.0.0.1'],
    });
    expect(update(external, old)).toEqual([]);
    expect(external['spec']).not.toHaveProperty('clusterIP');
  });

  test('back to ClusterIP, the node ports go', () => {
    const old = stored(
      service({ ports: [{ port: 80, nodePort: 30_080 }], type: 'NodePort', clusterIP: '10.0.0.1' }),
    );
    const next = cloneJson(old);
    (next['spec'] as JsonObject)['type'] = 'ClusterIP';
    expect(update(next, old)).toEqual([]);
    expect(next['spec']).not.toHaveProperty('externalTrafficPolicy');
    expect((next['spec'] as { ports: object[] }).ports[0]).not.toHaveProperty('nodePort');
  });
});

describe('Deployment', () => {
  test('a template keeps host and service link fields to its pods', () => {
    const spec = stored(deployment())['spec'] as { template: { spec: JsonObject } } & JsonObject;
    expect(spec).toMatchObject({
      replicas: 1,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
    });
    expect(spec.template.spec).not.toHaveProperty('enableServiceLinks');
  });

  test.each([
    [
      'a selector that misses its pods',
      deployment({}, { app: 'y' }),
      'spec.template.metadata.labels: Invalid value: {"app":"y"}: `selector` does not match template `labels`',
    ],
    ['no selector', deployment({ selector: undefined }), 'spec.selector: Required value'],
    [
      'an empty selector',
      deployment({ selector: {} }),
      'spec.selector: Invalid value: {}: empty selector is invalid for deployment',
    ],
    [
      'fewer than none',
      deployment({ replicas: -1 }),
      'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    ],
    [
      'no room to roll',
      deployment({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } } }),
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
    ],
    [
      'rolling while recreating',
      deployment({ strategy: { type: 'Recreate', rollingUpdate: {} } }),
      "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ],
  ])('%s', (_name, object, want) => {
    expect(create(object)).toContain(want);
  });

  test('generation follows the spec, not labels or status', () => {
    const old = stored(deployment());
    const same = cloneJson(old);
    same['status'] = { replicas: 5 };
    same.metadata.labels = { a: 'b' };
    expect(update(same, old)).toEqual([]);
    expect(same.metadata.generation).toBe(1);
    expect(same['status']).toEqual(old['status']);
    const more = cloneJson(old);
    (more['spec'] as JsonObject)['replicas'] = 3;
    update(more, old);
    expect(more.metadata.generation).toBe(2);
  });

  test('the selector stays', () => {
    const next = deployment({ selector: { matchLabels: { app: 'y' } } }, { app: 'y' });
    expect(update(next, stored(deployment()))).toEqual([
      'spec.selector: Invalid value: {"matchLabels":{"app":"y"}}: field is immutable',
    ]);
  });

  test('a status write changes nothing else', () => {
    const old = stored(deployment());
    const next = cloneJson(old);
    (next['spec'] as JsonObject)['replicas'] = 9;
    next['status'] = { replicas: 2 };
    kindOf('apps/v1', 'Deployment').prepareStatus(next, old);
    expect(next['spec']).toEqual(old['spec']);
    expect(next['status']).toEqual({ replicas: 2 });
  });
});

test('StatefulSet: only some fields may change', () => {
  const spec = {
    serviceName: 's',
    selector: { matchLabels: { app: 'x' } },
    template: { metadata: { labels: { app: 'x' } }, spec: POD_SPEC },
  };
  const old = stored(make('apps/v1', 'StatefulSet', { spec }));
  const next = make('apps/v1', 'StatefulSet', { spec: { ...spec, serviceName: 't', replicas: 2 } });
  expect(update(next, old)).toEqual([
    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
  ]);
});

describe('Pod', () => {
  const pod = (spec: JsonObject): UnknownObject => make('v1', 'Pod', { spec });
  const container = (fields: JsonObject): UnknownObject =>
    pod({ containers: [{ name: 'a', image: 'i:1', ...fields }] });
  const FIRST = 'spec.containers[0]';

  test('defaults', () => {
    const made = stored(
      pod({
        hostNetwork: true,
        containers: [
          {
            name: 'a',
            image: 'h:5000/i',
            ports: [{ containerPort: 80 }],
            resources: { limits: { cpu: '1' } },
            livenessProbe: { httpGet: { port: 80 } },
          },
        ],
      }),
    );
    expect(made['spec']).toMatchObject({
      restartPolicy: 'Always',
      enableServiceLinks: true,
      containers: [
        {
          imagePullPolicy: 'Always',
          ports: [{ hostPort: 80, protocol: 'TCP' }],
          resources: { requests: { cpu: '1' } },
          livenessProbe: {
            timeoutSeconds: 1,
            periodSeconds: 10,
            successThreshold: 1,
            failureThreshold: 3,
            httpGet: { path: '/', scheme: 'HTTP' },
          },
        },
      ],
    });
    expect(made['status']).toEqual({ phase: 'Pending', qosClass: 'Burstable' });
  });

  test.each([
    ['no containers', pod({}), 'spec.containers: Required value'],
    ['no image', container({ image: '' }), `${FIRST}.image: Required value`],
    [
      'two of one name',
      pod({ containers: [POD_SPEC.containers[0], POD_SPEC.containers[0]] }),
      'spec.containers[1].name: Duplicate value: "a"',
    ],
    [
      'a mount of nothing',
      container({ volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
      `${FIRST}.volumeMounts[0].name: Not found: "v"`,
    ],
    [
      'requests above limits',
      container({ resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }),
      `${FIRST}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`,
    ],
    [
      'a probe without handler',
      container({ livenessProbe: {} }),
      `${FIRST}.livenessProbe: Required value: must specify a handler type`,
    ],
    [
      'liveness that succeeds twice',
      container({ livenessProbe: { exec: { command: ['a'] }, successThreshold: 2 } }),
      `${FIRST}.livenessProbe.successThreshold: Invalid value: 2: must be 1`,
    ],
    [
      'a policy',
      pod({ ...POD_SPEC, restartPolicy: 'Sometimes' }),
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
    ],
    ['an env without name', container({ env: [{ value: 'x' }] }), `${FIRST}.env[0].name: Required value`],
    [
      'two volumes in one',
      pod({ ...POD_SPEC, volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/' } }] }),
      'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
    ],
    [
      'seconds without NoExecute',
      pod({ ...POD_SPEC, tolerations: [{ operator: 'Exists', tolerationSeconds: 1 }] }),
      'spec.tolerations[0].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set',
    ],
  ])('%s', (_name, object, want) => {
    expect(create(object)).toContain(want);
  });

  test('images, deadlines and tolerations may change, commands may not', () => {
    const old = stored(pod(POD_SPEC));
    const image = cloneJson(old);
    (image['spec'] as { containers: JsonObject[] }).containers[0]!['image'] = 'nginx:2';
    (image['spec'] as JsonObject)['activeDeadlineSeconds'] = 5;
    (image['spec'] as JsonObject)['tolerations'] = [{ operator: 'Exists' }];
    expect(update(image, old)).toEqual([]);
    const command = cloneJson(old);
    (command['spec'] as { containers: JsonObject[] }).containers[0]!['command'] = ['sh'];
    expect(update(command, old).join()).toMatch(
      /^spec: Forbidden: pod updates may not change fields other than `spec.containers/,
    );
  });

  test('grace: its own, the one asked for, none when unscheduled or done', () => {
    const kind = kindOf('v1', 'Pod');
    const running = stored(pod({ ...POD_SPEC, nodeName: 'n', terminationGracePeriodSeconds: 7 }));
    expect(kind.graceSeconds(running, undefined)).toBe(7);
    expect(kind.graceSeconds(running, 2)).toBe(2);
    expect(kind.graceSeconds({ ...running, status: { phase: 'Failed' } }, undefined)).toBe(0);
    expect(kind.graceSeconds(stored(pod(POD_SPEC)), 30)).toBe(0);
  });
});

test('every kind is found by its plural and by its kind, and can go and come', () => {
  for (const kind of registry.all()) {
    expect(registry.find(kind.group, kind.version, kind.plural)).toBe(kind);
    expect(registry.findByKind(joinApiVersion(kind.group, kind.version), kind.kind)).toBe(kind);
  }
  const own = new KindRegistry(builtinKinds());
  const { version } = own;
  expect(own.remove('', 'v1', 'pods')).toBe(true);
  expect(own.remove('', 'v1', 'pods')).toBe(false);
  expect(own.findByKind('v1', 'Pod')).toBeUndefined();
  expect(own.version).toBe(version + 1);
});
