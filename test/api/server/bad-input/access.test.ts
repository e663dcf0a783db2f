import { createPublicKey } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import http2 from 'node:http2';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateKey, issueCertificate, keyToPem } from '../../../../src/api/server/identity/certificate.ts';
import { openPki } from '../../../../src/api/server/identity/pki.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { type Call, openTestServer, patchType, type TestServer } from '../support.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const DAY_MS = 86_400_000;

let server: TestServer;
let eve: Call;
let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'weft-access-'));
  server = await openTestServer({ dataDir, listen: { host: '127.0.0.1', port: 0 } });
  eve = server.as('eve', 'system:authenticated');
  await server.call('POST', `${RBAC}/namespaces/default/roles`, {
    metadata: { name: 'editor' },
    rules: [
      { apiGroups: [''], resources: ['pods', 'serviceaccounts', 'configmaps'], verbs: ['*'] },
      {
        apiGroups: ['rbac.authorization.k8s.io'],
        resources: ['roles', 'rolebindings'],
        verbs: ['create', 'update', 'patch', 'get'],
      },
      { apiGroups: ['certificates.k8s.io'], resources: ['*'], verbs: ['*'] },
    ],
  });
  await server.call('POST', `${RBAC}/namespaces/default/rolebindings`, {
    metadata: { name: 'editor' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'editor' },
    subjects: [{ kind: 'User', name: 'eve', apiGroup: 'rbac.authorization.k8s.io' }],
  });
  await server.call('POST', `${RBAC}/clusterroles`, {
    metadata: { name: 'small' },
    rules: [
      {
        apiGroups: ['rbac.authorization.k8s.io'],
        resources: ['clusterroles', 'clusterrolebindings'],
        verbs: ['create', 'update', 'patch'],
      },
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['certificatesigningrequests'],
        verbs: ['create', 'get'],
      },
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['certificatesigningrequests/approval'],
        verbs: ['update'],
      },
    ],
  });
  await server.call('POST', `${RBAC}/clusterrolebindings`, {
    metadata: { name: 'small' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'small' },
    subjects: [{ kind: 'User', name: 'eve', apiGroup: 'rbac.authorization.k8s.io' }],
  });
  await server.call('POST', '/api/v1/namespaces/default/pods', {
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true });
});

const everything = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];
const admin = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
const self = [{ kind: 'User', name: 'eve', apiGroup: 'rbac.authorization.k8s.io' }];
const NS = '/api/v1/namespaces/default';

describe('rights nobody gave', () => {
  type Attempt = readonly [
    name: string,
    method: string,
    path: string,
    body: unknown,
    headers?: Readonly<Record<string, string>>,
  ];
  const attempts: readonly Attempt[] = [
    [
      'a role with everything',
      'POST',
      `${RBAC}/namespaces/default/roles`,
      { metadata: { name: 'x' }, rules: everything },
    ],
    [
      'a cluster role with everything',
      'POST',
      `${RBAC}/clusterroles`,
      { metadata: { name: 'x' }, rules: everything },
    ],
    [
      'an aggregated cluster role',
      'POST',
      `${RBAC}/clusterroles`,
      { metadata: { name: 'x' }, aggregationRule: { clusterRoleSelectors: [{}] }, rules: [] },
    ],
    [
      'a cluster role that the admin role takes in',
      'POST',
      `${RBAC}/clusterroles`,
      {
        metadata: { name: 'x', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
        rules: everything,
      },
    ],
    [
      'a binding to cluster-admin',
      'POST',
      `${RBAC}/clusterrolebindings`,
      { metadata: { name: 'x' }, roleRef: admin, subjects: self },
    ],
    [
      'a namespaced binding to cluster-admin',
      'POST',
      `${RBAC}/namespaces/default/rolebindings`,
      { metadata: { name: 'x' }, roleRef: admin, subjects: self },
    ],
    [
      'a larger role of its own',
      'PATCH',
      `${RBAC}/namespaces/default/roles/editor`,
      { rules: everything },
      patchType.merge,
    ],
    [
      'the same by server-side apply',
      'PATCH',
      `${RBAC}/namespaces/default/roles/editor?fieldManager=e&force=true`,
      { kind: 'Role', apiVersion: 'rbac.authorization.k8s.io/v1', rules: everything },
      patchType.apply,
    ],
    [
      'the same by PUT',
      'PUT',
      `${RBAC}/namespaces/default/roles/editor`,
      { metadata: { name: 'editor' }, rules: everything },
    ],
    ['being another user', 'GET', '/api/v1/secrets', undefined, { 'impersonate-user': 'kubernetes-admin' }],
    [
      'being a group',
      'GET',
      '/api/v1/secrets',
      undefined,
      { 'impersonate-user': 'eve', 'impersonate-group': 'system:masters' },
    ],
    [
      'an extra of its own',
      'GET',
      `${NS}/pods`,
      undefined,
      { 'impersonate-user': 'eve', 'impersonate-extra-scopes': 'all' },
    ],
    ['secrets by list', 'GET', `${NS}/secrets`, undefined],
    ['secrets by watch', 'GET', `${NS}/secrets?watch=1`, undefined],
    ['secrets by the old watch path', 'GET', '/api/v1/watch/namespaces/default/secrets', undefined],
    ['pods of another namespace', 'GET', '/api/v1/namespaces/kube-system/pods', undefined],
    ['pods of all namespaces', 'GET', '/api/v1/pods', undefined],
    ['a shell in a pod (needs pods/exec)', 'GET', `${NS}/pods/p/exec?command=id`, undefined],
    ['a proxy through a pod', 'GET', `${NS}/pods/p/proxy/`, undefined],
    ['a pod bound to a node', 'POST', `${NS}/pods/p/binding`, { target: { kind: 'Node', name: 'n' } }],
    ['a token of an account', 'POST', `${NS}/serviceaccounts/default/token`, {}],
    [
      'approval of a request',
      'PUT',
      '/apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval',
      {},
    ],
    ['metrics', 'GET', '/metrics', undefined],
    ['the end of a namespace', 'PUT', '/api/v1/namespaces/default/finalize', {}],
    ['a node that is not its own', 'POST', '/api/v1/nodes', { metadata: { name: 'n' } }],
  ];
  it.each(attempts)('%s: refused', async (...attempt) => {
    const [, method, path, body, headers = {}] = attempt as unknown as Attempt;
    const reply = await eve(method, path, body, headers);
    expect([403, 404]).toContain(reply.status);
    expect(reply.body.kind).toBe('Status');
    if (reply.status === 404) expect(path).toMatch(/certificatesigningrequests/);
    const review = await server.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      spec: {
        user: 'eve',
        groups: ['system:authenticated'],
        resourceAttributes: { verb: 'get', resource: 'secrets' },
      },
    });
    expect(review.body.status.allowed).toBe(false);
  });

  const paths: readonly string[] = [
    '/api/v1/namespaces/default/../kube-system/secrets',
    '/api/v1/namespaces/default/%2e%2e/kube-system/secrets',
    '/api/v1/namespaces/default%2f..%2fkube-system/secrets',
    '/api/v1/namespaces/default/pods/..%2f..%2fkube-system%2fsecrets',
    '//api/v1/secrets',
    '/api//v1/secrets',
    '/api/v1/./secrets',
    '/api/v1/namespaces//secrets',
    '/api/v1/namespaces/default/pods/p%00',
    '/healthz/../api/v1/secrets',
    '/healthz/..%2fapi/v1/secrets',
    '/API/v1/secrets',
    '/api/v1/Secrets',
    '/apis/../api/v1/secrets',
    '/api/v1/secrets;x=y',
    '/api/v1/%',
    '/%c0%ae%c0%ae/api/v1/secrets',
    '*',
    'http://other/api/v1/secrets',
  ];
  it.each(paths)('by the path %s', async (path) => {
    const reply = await eve('GET', path);
    expect([400, 403, 404]).toContain(reply.status);
    expect(reply.text).not.toContain('SecretList');
  });

  it('by a signing request for masters', async () => {
    const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
    const made = await eve('POST', requests, {
      metadata: { name: 'evil' },
      spec: { request: '', signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] },
    });
    expect(made.status).toBe(422);
  });
});

describe('credentials', () => {
  /** One request over TLS with these credentials. */
  async function asked(options: {
    key?: string;
    cert?: string;
    token?: string;
  }): Promise<{ status: number; body: string }> {
    const session = http2.connect(`https://${server.server.address}`, {
      ca: server.server.caPem,
      ...(options.key && { key: options.key }),
      ...(options.cert && { cert: options.cert }),
    });
    try {
      const stream = session.request({
        ':path': '/api/v1/namespaces/default/pods',
        ...(options.token && { authorization: `Bearer ${options.token}` }),
      });
      const [headers] = (await once(stream, 'response')) as [
        http2.IncomingHttpHeaders & { ':status'?: number },
      ];
      let body = '';
      for await (const chunk of stream as AsyncIterable<Buffer>) body += chunk.toString();
      return { status: headers[':status'] ?? 0, body };
    } finally {
      session.close();
    }
  }

  async function certificate(
    dir: string | undefined,
    notBeforeMs: number,
    notAfterMs: number,
  ): Promise<{ key: string; cert: string }> {
    const pki = await openPki(systemClock, { dir, dnsNames: [], ipAddresses: ['127.0.0.1'] });
    const key = generateKey();
    const cert = issueCertificate(
      {
        subject: { commonName: 'kubernetes-admin', organizations: ['system:masters'] },
        publicKey: createPublicKey(key),
        dnsNames: [],
        ipAddresses: [],
        usage: 'client',
        notBeforeMs,
        notAfterMs,
      },
      { key: pki.ca.key, certificate: pki.ca.certificate },
    );
    return { key: keyToPem(key), cert };
  }

  it('a certificate of another authority is nobody', async () => {
    const now = Date.now();
    const { status, body } = await asked(await certificate(undefined, now - DAY_MS, now + DAY_MS));
    expect([status, JSON.parse(body).reason]).toEqual([401, 'Unauthorized']);
  });

  it('an expired certificate is nobody', async () => {
    const now = Date.now();
    const { status } = await asked(await certificate(join(dataDir, 'pki'), now - 2 * DAY_MS, now - DAY_MS));
    expect(status).toBe(401);
    const valid = await asked(await certificate(join(dataDir, 'pki'), now - DAY_MS, now + DAY_MS));
    expect(valid.status).toBe(200);
  });

  it('no credentials are anonymous, and may nothing here', async () => {
    const { status, body } = await asked({});
    expect([status, JSON.parse(body).message]).toEqual([
      403,
      'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"',
    ]);
  });

  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    iss: 'https://kubernetes.default.svc.cluster.local',
    sub: 'system:serviceaccount:default:default',
    aud: ['https://kubernetes.default.svc.cluster.local'],
    exp: 4_000_000_000,
  };
  const tokens: readonly (readonly [name: string, token: string])[] = [
    ['text', 'nonsense'],
    ['dots', '..'],
    ['an unsigned token', `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.`],
    ['a token signed by a secret', `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}.AAAA`],
    ['a token with an empty signature', `${encode({ alg: 'ES256', typ: 'JWT' })}.${encode(claims)}.`],
    ['a bootstrap token that is none', 'abcdef.0123456789abcdef'],
    ['a very long token', 'x'.repeat(8_000)],
  ];
  it.each(tokens)('%s is nobody', async (_name, token) => {
    expect((await asked({ token })).status).toBe(401);
  });

  it('a token of a deleted account, of one made again, or with another claim is nobody', async () => {
    const accounts = '/api/v1/namespaces/default/serviceaccounts';
    await server.call('POST', accounts, { metadata: { name: 'gone' } });
    const { body } = await server.call('POST', `${accounts}/gone/token`, { spec: {} });
    const token = body.status.token as string;
    expect((await asked({ token })).status).toBe(403);
    const [head, payload = '', signature] = token.split('.');
    const other = {
      ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object),
      sub: 'system:serviceaccount:kube-system:default',
    };
    expect((await asked({ token: `${head}.${encode(other)}.${signature}` })).status).toBe(401);
    await server.call('DELETE', `${accounts}/gone`);
    expect((await asked({ token })).status).toBe(401);
    await server.call('POST', accounts, { metadata: { name: 'gone' } });
    expect((await asked({ token })).status).toBe(401);
  });
});
