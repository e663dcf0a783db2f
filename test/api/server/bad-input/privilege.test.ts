import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signingRequest } from '../../../support/signing-request.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { type Call, openTestServer, patchType, type TestReply, type TestServer } from '../support.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const REQUESTS = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const NS = '/api/v1/namespaces/default';

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
  const { call } = server;
  for (const name of ['n1', 'n2']) await call('POST', '/api/v1/nodes', { metadata: { name } });
  await call('POST', `${NS}/secrets`, { metadata: { name: 'treasure' }, stringData: { k: 'v' } });
  await call('POST', `${NS}/serviceaccounts`, { metadata: { name: 'robot' } });
  const spec = { serviceAccountName: 'robot', containers: [{ name: 'c', image: 'i' }] };
  for (const node of ['n1', 'n2']) {
    await call('POST', `${NS}/pods`, { metadata: { name: `on-${node}` }, spec: { ...spec, nodeName: node } });
  }
});
afterAll(() => server[Symbol.asyncDispose]());

/** A user with exactly these rights everywhere. */
async function userWith(name: string, ...rules: object[]): Promise<Call> {
  const subjects = [{ kind: 'User', name, apiGroup: 'rbac.authorization.k8s.io' }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
  expect((await server.call('POST', `${RBAC}/clusterroles`, { metadata: { name }, rules })).status).toBe(201);
  const binding = { metadata: { name }, roleRef, subjects };
  expect((await server.call('POST', `${RBAC}/clusterrolebindings`, binding)).status).toBe(201);
  return server.as(name, 'system:authenticated');
}

const refused = (reply: TestReply, message: RegExp): void => {
  expect([reply.status, reply.body?.message]).toEqual([403, expect.stringMatching(message)]);
};

describe('rights by another verb', () => {
  it('server-side apply and PUT make new objects only with the right to create', async () => {
    const rules = {
      apiGroups: ['', 'coordination.k8s.io'],
      resources: ['*'],
      verbs: ['patch', 'update', 'get'],
    };
    const eve = await userWith('patcher', rules);
    const map = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'new' }, data: { a: 'b' } };
    const path = `${NS}/configmaps/new?fieldManager=eve`;
    refused(await eve('PATCH', path, map, patchType.apply), /cannot create resource "configmaps"/);
    const lease = { metadata: { name: 'new' }, spec: {} };
    const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
    refused(await eve('PUT', `${leases}/new`, lease), /cannot create resource "leases"/);
    expect((await server.call('PATCH', path, map, patchType.apply)).status).toBe(201);
    expect((await eve('PATCH', path, { ...map, data: {} }, patchType.apply)).status).toBe(200);
    expect((await server.call('PUT', `${leases}/new`, lease)).status).toBe(201);
  });

  it.each(['exec?command=id', 'attach', 'portforward?ports=80'])(
    'a WebSocket to pods/%s needs the right to create, not only to get',
    async (subresource) => {
      const name = `reader-${subresource.replace(/\W.*/, '')}`;
      const eve = await userWith(name, {
        apiGroups: [''],
        resources: ['*'],
        verbs: ['get', 'list', 'watch'],
      });
      const resource = subresource.replace(/\?.*/, '');
      const upgrade = { connection: 'Upgrade', upgrade: 'websocket' };
      const reply = await eve('GET', `${NS}/pods/on-n1/${subresource}`, undefined, upgrade);
      refused(reply, new RegExp(`cannot create resource "pods/${resource}"`));
    },
  );
});

describe('a node', () => {
  const node = (): Call => server.as('system:node:n1', 'system:nodes', 'system:authenticated');
  const mirror = (spec: object): object => ({
    metadata: { name: `mirror-${Math.random()}`, annotations: { 'kubernetes.io/config.mirror': 'x' } },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }], ...spec },
  });
  const env = (valueFrom: object): object => ({
    containers: [{ name: 'c', image: 'i', env: [{ name: 'E', valueFrom }] }],
  });
  const references: [string, object][] = [
    ['a secret volume', { volumes: [{ name: 'v', secret: { secretName: 'treasure' } }] }],
    ['a config map volume', { volumes: [{ name: 'v', configMap: { name: 'x' } }] }],
    ['a claim', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'x' } }] }],
    [
      'a projected secret',
      { volumes: [{ name: 'v', projected: { sources: [{ secret: { name: 'treasure' } }] } }] },
    ],
    [
      'an account token',
      { volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }] },
    ],
    ['a secret in the environment', env({ secretKeyRef: { name: 'treasure', key: 'k' } })],
    ['a config map in the environment', env({ configMapKeyRef: { name: 'x', key: 'k' } })],
    ['a pull secret', { imagePullSecrets: [{ name: 'treasure' }] }],
    ['an account', { serviceAccountName: 'robot' }],
    ['an account by its old name', { serviceAccount: 'robot' }],
  ];
  it.each(references)('makes no mirror pod with %s', async (_name, spec) => {
    refused(await node()('POST', `${NS}/pods`, mirror(spec)), /mirror pod|pods that reference/);
    expect((await node()('GET', `${NS}/secrets/treasure`)).status).toBe(403);
  });

  it('makes plain mirror pods on itself alone', async () => {
    expect((await node()('POST', `${NS}/pods`, mirror({}))).status).toBe(201);
    refused(await node()('POST', `${NS}/pods`, mirror({ nodeName: 'n2' })), /spec.nodeName set to itself/);
  });

  it('registers itself alone', async () => {
    refused(await node()('POST', '/api/v1/nodes', { metadata: { name: 'n3' } }), /not allowed to modify/);
    const generated = await node()('POST', '/api/v1/nodes', { metadata: { generateName: 'n' } });
    refused(generated, /not allowed to modify/);
  });

  it.each([
    ['taints', { spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } }, /modify taints/],
    ['roles', { metadata: { labels: { 'node-role.kubernetes.io/control-plane': '' } } }, /modify labels/],
    ['restricted labels', { metadata: { labels: { 'x.node-restriction.kubernetes.io/y': '' } } }, /labels/],
    [
      'owners',
      { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n2', uid: 'x' }] } },
      /./,
    ],
  ])('does not change its %s', async (_name, patch, message) => {
    refused(await node()('PATCH', '/api/v1/nodes/n1', patch, patchType.merge), message);
  });

  it('labels itself with what kubelets may', async () => {
    const labels = { 'topology.kubernetes.io/zone': 'a', 'kubernetes.io/hostname': 'n1', own: 'x' };
    const reply = await node()('PATCH', '/api/v1/nodes/n1', { metadata: { labels } }, patchType.merge);
    expect(reply.status).toBe(200);
  });

  it('renews no lease but its own', async () => {
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    refused(await node()('POST', leases, { metadata: { name: 'n2' } }), /lease/);
    expect((await node()('POST', leases, { metadata: { name: 'n1' } })).status).toBe(201);
    expect((await node()('PATCH', `${leases}/n2`, { spec: {} }, patchType.merge)).status).toBe(403);
  });

  it('gets tokens only for its own pods, bound to them', async () => {
    const token = `${NS}/serviceaccounts/robot/token`;
    const bound = async (name: string): Promise<object> => {
      const { body } = await server.call('GET', `${NS}/pods/${name}`);
      return { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid: body.metadata.uid } } };
    };
    refused(await node()('POST', token, {}), /not bound to a pod/);
    refused(await node()('POST', token, await bound('on-n2')), /on a different node/);
    const noUid = { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'on-n1' } } };
    refused(await node()('POST', token, noUid), /without a uid/);
    expect((await node()('POST', token, await bound('on-n1'))).status).toBe(201);
  });

  it('evicts nothing elsewhere', async () => {
    const eviction = { metadata: { name: 'on-n2' } };
    expect((await node()('POST', `${NS}/pods/on-n2/eviction`, eviction)).status).toBe(403);
    expect((await server.call('GET', `${NS}/pods/on-n2`)).body.metadata.deletionTimestamp).toBeUndefined();
  });
});

describe('a signing request', () => {
  const CLIENT = 'kubernetes.io/kube-apiserver-client';
  const KUBELET = 'kubernetes.io/kube-apiserver-client-kubelet';
  const SERVING = 'kubernetes.io/kubelet-serving';

  const body = (name: string, signerName: string, text: string, spec: object = {}): object => ({
    metadata: { name },
    spec: { signerName, usages: ['client auth'], request: text, ...spec },
  });
  const approval = {
    status: { conditions: [{ type: 'Approved', status: 'True', reason: 'x', message: 'y' }] },
  };
  const approve = (as: Call, name: string): Promise<TestReply> =>
    as('PATCH', `${REQUESTS}/${name}/approval`, approval, patchType.merge);

  const MAKE = {
    apiGroups: ['certificates.k8s.io'],
    resources: ['*'],
    verbs: ['create', 'get', 'update', 'patch'],
  };

  it('says who asks, whatever its body says', async () => {
    const eve = await userWith('asker', MAKE);
    const forged = { username: 'system:node:n1', groups: ['system:nodes'], uid: 'x', extra: { a: ['b'] } };
    const made = await eve('POST', REQUESTS, body('forged', CLIENT, signingRequest('/CN=asker'), forged));
    expect(made.status).toBe(201);
    expect(made.body.spec).toMatchObject({ username: 'asker', groups: ['system:authenticated'] });
    expect(made.body.spec).not.toHaveProperty('uid');
    expect(made.body.spec).not.toHaveProperty('extra');
    await eve('PATCH', `${REQUESTS}/forged`, { spec: forged }, patchType.merge);
    const { body: after } = await eve('GET', `${REQUESTS}/forged`);
    expect(after.spec.username).toBe('asker');
  });

  it('is approved and signed only by who may for its signer', async () => {
    const eve = await userWith('approver', MAKE);
    await eve('POST', REQUESTS, body('mine', CLIENT, signingRequest('/CN=someone')));
    refused(await approve(eve, 'mine'), /not permitted to approve requests with signerName/);
    const certificate = { status: { certificate: Buffer.from('x').toString('base64') } };
    const signed = await eve('PATCH', `${REQUESTS}/mine/status`, certificate, patchType.merge);
    refused(signed, /not permitted to sign requests with signerName/);
    const signers = { apiGroups: ['certificates.k8s.io'], resources: ['signers'], verbs: ['approve'] };
    const bob = await userWith('granted', MAKE, { ...signers, resourceNames: ['kubernetes.io/*'] });
    expect((await approve(bob, 'mine')).status).toBe(200);
  });

  it('for masters is refused when it is made', async () => {
    const eve = await userWith('climber', MAKE);
    const made = await eve(
      'POST',
      REQUESTS,
      body('masters', CLIENT, signingRequest('/CN=x/O=system:masters')),
    );
    refused(made, /system:masters/);
  });

  it('for a kubelet’s serving certificate must come from that kubelet', async () => {
    const usages = { usages: ['server auth'] };
    const text = signingRequest(
      '/CN=kubernetes.default.svc/O=system:nodes',
      'subjectAltName=DNS:kubernetes.default.svc',
    );
    const eve = await userWith('server', MAKE);
    await eve('POST', REQUESTS, body('serving', SERVING, text, usages));
    expect((await approve(server.call, 'serving')).status).toBe(200);
    const failed = await waitFor(
      'the verdict',
      async () => {
        const { body: found } = await server.call('GET', `${REQUESTS}/serving`);
        return found.status.conditions.length > 1 && found.status;
      },
      20_000,
    );
    expect(failed.conditions[1].type).toBe('Failed');
    expect(failed.certificate).toBeUndefined();
  });

  it('of a bootstrap token gets a node’s certificate and nothing else', async () => {
    const joiner = server.as('system:bootstrap:abcdef', 'system:bootstrappers', 'system:authenticated');
    const other = await joiner(
      'POST',
      REQUESTS,
      body('other', CLIENT, signingRequest('/CN=system:node:n9/O=system:nodes')),
    );
    expect(other.status).toBe(201);
    const both = signingRequest('/CN=system:node:n9/O=system:nodes/O=system:masters');
    expect((await joiner('POST', REQUESTS, body('both', KUBELET, both))).status).toBe(201);
    const good = signingRequest('/CN=system:node:n9/O=system:nodes');
    expect((await joiner('POST', REQUESTS, body('good', KUBELET, good))).status).toBe(201);
    const status = async (name: string): Promise<{ certificate?: string }> =>
      (await server.call('GET', `${REQUESTS}/${name}`)).body.status;
    await waitFor('the certificate', async () => (await status('good')).certificate);
    expect(await status('other')).toEqual({});
    expect(await status('both')).toEqual({});
    expect((await joiner('GET', `${NS}/secrets`)).status).toBe(403);
    expect((await joiner('POST', '/api/v1/nodes', { metadata: { name: 'n9' } })).status).toBe(403);
  });
});

describe('pod security', () => {
  it('holds for debug containers, too', async () => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' };
    await server.call('POST', '/api/v1/namespaces', { metadata: { name: 'tight', labels } });
    const pods = '/api/v1/namespaces/tight/pods';
    const spec = { containers: [{ name: 'c', image: 'i' }] };
    await waitFor(
      'the pod',
      async () => {
        return (await server.call('POST', pods, { metadata: { name: 'p' }, spec })).status === 201;
      },
      20_000,
    );
    const debug = { name: 'd', image: 'i', securityContext: { privileged: true } };
    const patch = { spec: { ephemeralContainers: [debug] } };
    const path = `${pods}/p/ephemeralcontainers`;
    refused(await server.call('PATCH', path, patch, patchType.strategic), /violates PodSecurity/);
  });
});
