import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { rolesIn } from '../../../src/api/server/bootstrap/policy/roles.ts';
import { openMemoryStore } from '../../../src/store/memory-store.ts';
import type { Store } from '../../../src/store/store.ts';
import { openTestServer, patchType, type TestServer } from './support.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

describe('roles in text', () => {
  it('have rules for resources, names and paths, over several lines', () => {
    expect(
      rolesIn('\none\n  get,list core pods,\n    secrets a,b\n  get /healthz,/livez\ntwo\n  * * *\n'),
    ).toEqual([
      {
        name: 'one',
        rules: [
          {
            verbs: ['get', 'list'],
            apiGroups: [''],
            resources: ['pods', 'secrets'],
            resourceNames: ['a', 'b'],
          },
          { verbs: ['get'], nonResourceURLs: ['/healthz', '/livez'] },
        ],
      },
      { name: 'two', rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] },
    ]);
  });
});

describe('default roles and bindings', () => {
  let store: Store;
  let world: TestServer;
  beforeEach(async () => {
    store = openMemoryStore({ clock: systemClock, log: silentLogger });
    world = await openTestServer({}, { store });
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  });

  const names = async (target: string): Promise<string[]> =>
    (await world.call('GET', target)).body.items.map(
      (one: { metadata: { name: string } }) => one.metadata.name,
    );
  const patch = async (target: string, body: object): Promise<void> => {
    expect((await world.call('PATCH', `${RBAC}/${target}`, body, patchType.merge)).status).toBe(200);
  };
  // oxlint-disable-next-line typescript/no-explicit-any
  const get = async (target: string): Promise<any> => (await world.call('GET', `${RBAC}/${target}`)).body;
  const restart = async (): Promise<void> => {
    await world[Symbol.asyncDispose]();
    world = await openTestServer({}, { store });
  };

  it('are as many as kube-apiserver 1.35 has, and those of weft', async () => {
    const roles = await names(`${RBAC}/clusterroles`);
    const bindings = await names(`${RBAC}/clusterrolebindings`);
    expect(roles.filter((name) => name.startsWith('system:controller:'))).toHaveLength(37);
    expect(roles).toHaveLength(68 + 1);
    expect(bindings).toHaveLength(49 + 3);
    expect(await names(`${RBAC}/roles`)).toHaveLength(7);
    expect(await names(`${RBAC}/rolebindings`)).toHaveLength(7);
  });

  it.each([
    ['deployment-controller', 'patch', 'apps', 'deployments', false],
    ['deployment-controller', 'update', 'apps', 'deployments', true],
    ['replicaset-controller', 'delete', '', 'pods', true],
    ['endpointslice-controller', 'create', 'discovery.k8s.io', 'endpointslices', true],
    ['generic-garbage-collector', 'delete', 'example.com', 'anything', true],
    ['default', 'list', '', 'pods', false],
  ])('account %s may %s %s/%s: %s', async (account, verb, group, resource, allowed) => {
    const { body } = await world.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      spec: {
        user: `system:serviceaccount:kube-system:${account}`,
        resourceAttributes: { namespace: 'default', verb, group, resource },
      },
    });
    const binding = `system:controller:${account}`;
    const reason = `RBAC: allowed by ClusterRoleBinding "${binding}" of ClusterRole "${binding}" to ServiceAccount "${account}/kube-system"`;
    expect(body.status).toEqual({ allowed, ...(allowed && { reason }) });
  });

  it('get back what they lack at a start, and keep what was added', async () => {
    const mine = { apiGroups: [''], resources: ['pods'], verbs: ['get'] };
    const left = { apiGroups: [''], resources: ['endpoints'], verbs: ['list'] };
    await patch('clusterroles/system:kube-dns', { rules: [left, mine], metadata: { labels: { mine: '1' } } });
    await patch('clusterroles/admin', {
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] },
    });
    const zoe = { apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'zoe' };
    await patch('clusterrolebindings/system:monitoring', { subjects: [zoe] });
    await world.call('DELETE', `${RBAC}/clusterroles/system:heapster`);
    await restart();
    const dns = await get('clusterroles/system:kube-dns');
    expect(dns.rules).toEqual([
      left,
      mine,
      { apiGroups: [''], resources: ['endpoints'], verbs: ['watch'] },
      { apiGroups: [''], resources: ['services'], verbs: ['list'] },
      { apiGroups: [''], resources: ['services'], verbs: ['watch'] },
    ]);
    expect(dns.metadata.labels).toEqual({ 'kubernetes.io/bootstrapping': 'rbac-defaults', mine: '1' });
    expect((await get('clusterroles/admin')).aggregationRule.clusterRoleSelectors).toHaveLength(2);
    expect((await get('clusterrolebindings/system:monitoring')).subjects).toEqual([
      zoe,
      { ...zoe, kind: 'Group', name: 'system:monitoring' },
    ]);
    expect((await get('clusterroles/system:heapster')).kind).toBe('ClusterRole');
  });

  it('are left alone where their annotation says so', async () => {
    const metadata = { annotations: { [AUTOUPDATE]: 'false' } };
    await patch('clusterroles/system:kube-dns', { metadata, rules: [] });
    await patch('clusterrolebindings/system:basic-user', { metadata, subjects: [] });
    await restart();
    expect((await get('clusterroles/system:kube-dns')).rules ?? []).toEqual([]);
    expect((await get('clusterrolebindings/system:basic-user')).subjects ?? []).toEqual([]);
  });

  it('bind the role they should, whatever somebody made of their name', async () => {
    await world.call('DELETE', `${RBAC}/clusterrolebindings/system:monitoring`);
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
    await world.call('POST', `${RBAC}/clusterrolebindings`, {
      metadata: { name: 'system:monitoring' },
      roleRef,
      subjects: [{ kind: 'User', name: 'bob' }],
    });
    await restart();
    const { roleRef: now, subjects } = await get('clusterrolebindings/system:monitoring');
    expect(now.name).toBe('system:monitoring');
    expect(subjects.map(({ name }: { name: string }) => name)).toEqual(['system:monitoring']);
  });
});
