import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, type TestServer } from './support.ts';

let test: TestServer;
beforeAll(async () => void (test = await openTestServer()));
afterAll(async () => await test[Symbol.asyncDispose]());

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const bind = (name: string, role: string, user: string) =>
  test.call('POST', `${RBAC}/namespaces/default/rolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  });

describe('authorization', () => {
  it('refuses without a binding, with the exact words', async () => {
    const reply = await test.as('bob')('GET', '/api/v1/namespaces/default/pods');
    expect(reply.body).toMatchObject({
      code: 403,
      reason: 'Forbidden',
      message:
        'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"',
    });
  });

  it('grants what a binding grants, there and no more', async () => {
    await bind('viewer', 'view', 'ann');
    const ann = test.as('ann');
    expect((await ann('GET', '/api/v1/namespaces/default/pods')).status).toBe(200);
    expect((await ann('GET', '/api/v1/namespaces/kube-system/pods')).status).toBe(403);
    expect((await ann('GET', '/api/v1/namespaces/default/secrets')).status).toBe(403);
    expect((await ann('DELETE', '/api/v1/namespaces/default/pods/x')).status).toBe(403);
  });

  it('lets nobody give away rights they do not hold', async () => {
    await bind('adm', 'admin', 'eve');
    const eve = test.as('eve');
    const role = (rules: object[]) =>
      eve('POST', `${RBAC}/namespaces/default/roles`, { metadata: { generateName: 'r-' }, rules });
    expect((await role([{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }])).status).toBe(201);
    const more = await role([{ apiGroups: [''], resources: ['nodes'], verbs: ['*'] }]);
    expect(more.status).toBe(403);
    expect(more.body.message).toContain('is attempting to grant RBAC permissions not currently held');
    const body = {
      metadata: { name: 'up' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'eve' }],
    };
    expect((await eve('POST', `${RBAC}/namespaces/default/rolebindings`, body)).status).toBe(403);
  });

  it('impersonates only with the right to', async () => {
    const headers = { 'impersonate-user': 'ann' };
    const target = '/api/v1/namespaces/default/pods';
    expect((await test.call('GET', target, undefined, headers)).status).toBe(200);
    const master = { 'impersonate-user': 'x', 'impersonate-group': 'system:masters' };
    expect((await test.as('bob')('GET', target, undefined, master)).status).toBe(403);
  });

  it('keeps a kubelet to its own pods and their secrets', async () => {
    const pod = {
      metadata: { name: 'on-n1' },
      spec: {
        nodeName: 'n1',
        containers: [{ name: 'c', image: 'i' }],
        volumes: [{ name: 's', secret: { secretName: 'used' } }],
      },
    };
    await test.call('POST', '/api/v1/namespaces/default/pods', pod);
    for (const name of ['used', 'other']) {
      await test.call('POST', '/api/v1/namespaces/default/secrets', { metadata: { name } });
    }
    const n1 = test.as('system:node:n1', 'system:nodes');
    const n2 = test.as('system:node:n2', 'system:nodes');
    const secret = '/api/v1/namespaces/default/secrets';
    expect((await n1('GET', `${secret}/used`)).status).toBe(200);
    expect((await n1('GET', `${secret}/other`)).status).toBe(403);
    expect((await n2('GET', `${secret}/used`)).status).toBe(403);
    expect((await n1('GET', secret)).status).toBe(403);
    expect((await n2('DELETE', '/api/v1/namespaces/default/pods/on-n1')).status).toBe(403);
  });
});

describe('service account tokens', () => {
  const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts';
  const review = (token: string, audiences?: string[]) =>
    test.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      spec: { token, ...(audiences && { audiences }) },
    });

  it('stand for the account until it is deleted', async () => {
    await test.call('POST', ACCOUNTS, { metadata: { name: 'sa' } });
    const made = await test.call('POST', `${ACCOUNTS}/sa/token`, { spec: { expirationSeconds: 600 } });
    const token = made.body.status.token as string;
    expect((await review(token)).body.status).toMatchObject({
      authenticated: true,
      user: { username: 'system:serviceaccount:default:sa' },
    });
    expect((await review(token, ['elsewhere'])).body.status.authenticated).toBeUndefined();
    expect((await review(`${token.slice(0, -4)}AAAA`)).body.status.authenticated).toBeUndefined();
    await test.call('DELETE', `${ACCOUNTS}/sa`);
    expect((await review(token)).body.status.authenticated).toBeUndefined();
  });

  it('live at least ten minutes and publish their key', async () => {
    const short = await test.call('POST', `${ACCOUNTS}/default/token`, { spec: { expirationSeconds: 60 } });
    expect(short.status).toBe(422);
    const keys = await test.call('GET', '/openid/v1/jwks');
    expect(JSON.parse(keys.text).keys[0]).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256' });
  });
});
