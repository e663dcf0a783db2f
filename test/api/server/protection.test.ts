import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAuditPolicy } from '../../../src/api/server/audit/policy.ts';
import { parseEncryptionConfiguration } from '../../../src/api/server/encryption/configuration.ts';
import type { ApiServer } from '../../../src/api/server/server.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { openMemoryStore } from '../../../src/store/memory-store.ts';
import { openTestServer, patchType } from './support.ts';

const key = (bytes: number, fill = 7): string => Buffer.alloc(bytes, fill).toString('base64');
const configuration = (...providers: object[]): string =>
  JSON.stringify({
    kind: 'EncryptionConfiguration',
    apiVersion: 'apiserver.config.k8s.io/v1',
    resources: [{ resources: ['secrets'], providers }],
  });
const SECRETS = '/api/v1/namespaces/default/secrets';
const KEY = '/registry/core/secrets/default/s';
const secret = {
  kind: 'Secret',
  apiVersion: 'v1',
  metadata: { name: 's' },
  stringData: { password: 'correct horse' },
};
const newStore = () => openMemoryStore({ clock: systemClock, log: silentLogger });

describe('encryption at rest', () => {
  const providers: readonly (readonly [name: string, bytes: number])[] = [
    ['aescbc', 16],
    ['aescbc', 32],
    ['aesgcm', 32],
    ['secretbox', 32],
  ];
  it.each(providers)('%s with a key of %i bytes hides Secrets in the store', async (name, bytes) => {
    const store = newStore();
    const text = configuration({ [name]: { keys: [{ name: 'k1', secret: key(bytes) }] } }, { identity: {} });
    const encryption = parseEncryptionConfiguration(text);
    {
      await using server = await openTestServer({ encryption }, { store });
      expect((await server.call('POST', SECRETS, secret)).status).toBe(201);
      await server.call('PATCH', `${SECRETS}/s`, { metadata: { labels: { a: 'b' } } }, patchType.merge);
      const { entry } = await store.get(KEY);
      const raw = Buffer.from(entry!.value).toString('latin1');
      expect(raw.startsWith(`k8s:enc:${name}:v1:k1:`)).toBe(true);
      expect(raw).not.toContain('Secret');
      const map = await store.get('/registry/core/configmaps/default/kube-root-ca.crt');
      if (map.entry) expect(Buffer.from(map.entry.value).toString()).toContain('ConfigMap');
    }
    {
      await using again = await openTestServer({ encryption }, { store });
      const { body } = await again.call('GET', `${SECRETS}/s`);
      expect(Buffer.from(body.data.password, 'base64').toString()).toBe('correct horse');
    }
    await store[Symbol.asyncDispose]();
  });

  it('reads what older keys and none sealed, and seals anew with the first', async () => {
    const store = newStore();
    {
      await using server = await openTestServer({}, { store });
      await server.call('POST', SECRETS, secret);
    }
    const old = { aescbc: { keys: [{ name: 'old', secret: key(32, 1) }] } };
    const fresh = { aesgcm: { keys: [{ name: 'new', secret: key(32, 2) }] } };
    for (const [list, prefix] of [
      [[old, { identity: {} }], 'k8s:enc:aescbc:v1:old:'],
      [[fresh, old, { identity: {} }], 'k8s:enc:aesgcm:v1:new:'],
    ] as const) {
      const encryption = parseEncryptionConfiguration(configuration(...list));
      await using server = await openTestServer({ encryption }, { store });
      const change = { metadata: { labels: { step: String(list.length) } } };
      expect((await server.call('PATCH', `${SECRETS}/s`, change, patchType.merge)).status).toBe(200);
      const { entry } = await store.get(KEY);
      expect(Buffer.from(entry!.value).toString('latin1').startsWith(prefix)).toBe(true);
    }
    await expect(openTestServer({}, { store })).rejects.toThrow(
      /sealed \(k8s:enc:aesgcm:v1:new\) and no key/,
    );
    const wrong = parseEncryptionConfiguration(
      configuration({ aesgcm: { keys: [{ name: 'new', secret: key(32, 3) }] } }),
    );
    await expect(openTestServer({ encryption: wrong }, { store })).rejects.toThrow(/no key/);
    await store[Symbol.asyncDispose]();
  });

  it('binds AES-GCM to the place in the store', async () => {
    const store = newStore();
    const encryption = parseEncryptionConfiguration(
      configuration({ aesgcm: { keys: [{ name: 'k', secret: key(32) }] } }),
    );
    {
      await using server = await openTestServer({ encryption }, { store });
      await server.call('POST', SECRETS, secret);
    }
    const { entry } = await store.get(KEY);
    await store.put('/registry/core/secrets/default/other', entry!.value);
    await expect(openTestServer({ encryption }, { store })).rejects.toThrow(/default\/other is sealed/);
    await store[Symbol.asyncDispose]();
  });

  const wrong: readonly (readonly [text: string, message: string])[] = [
    ['a: [', 'not readable'],
    ['{}', 'kind must be EncryptionConfiguration'],
    [configuration({ kms: { name: 'x' } }), 'kms is not supported; use aesgcm or secretbox'],
    [
      configuration({ aesgcm: { keys: [{ name: 'k', secret: key(5) }] } }),
      'must be 16, 24, 32 bytes in base64, not 5',
    ],
    [
      configuration({ secretbox: { keys: [{ name: 'k', secret: key(16) }] } }),
      'must be 32 bytes in base64, not 16',
    ],
    [configuration({ aescbc: { keys: [] } }), 'keys must have at least one key'],
    [configuration({ rot13: {} }), 'unknown provider "rot13"'],
    [configuration({ aescbc: { keys: [{ name: 'a:b', secret: key(16) }] } }), 'without a colon'],
  ];
  it.each(wrong)('does not take %.60s', (text, message) => {
    expect(() => parseEncryptionConfiguration(text)).toThrow(message);
  });
});

describe('audit log', () => {
  const policy = (...rules: object[]): ReturnType<typeof parseAuditPolicy> =>
    parseAuditPolicy(
      JSON.stringify({
        kind: 'Policy',
        apiVersion: 'audit.k8s.io/v1',
        omitStages: ['RequestReceived'],
        rules,
      }),
    );

  async function audited(
    rules: readonly object[],
    work: (server: Awaited<ReturnType<typeof openTestServer>>) => Promise<void>,
    // Tests look into events of every shape.
    // oxlint-disable-next-line typescript/no-explicit-any
  ): Promise<any[]> {
    const folder = await mkdtemp(join(tmpdir(), 'weft-audit-'));
    const path = join(folder, 'logs', 'audit.log');
    {
      const listen = { host: '127.0.0.1', port: 0 };
      await using server = await openTestServer({ listen, audit: { policy: policy(...rules), path } });
      await work(server);
    }
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const lines = (await readFile(path, 'utf8')).split('\n').filter(Boolean);
    await rm(folder, { recursive: true });
    return lines.map((line): unknown => JSON.parse(line));
  }

  /** Over TLS with a token nobody gave out. */
  async function stranger(server: ApiServer): Promise<void> {
    const [host, port] = (server.address ?? '').split(':');
    const headers = { authorization: 'Bearer forged' };
    const ask = httpsRequest({
      host,
      port: Number(port),
      path: SECRETS,
      headers,
      ca: server.caPem,
      agent: false,
    });
    ask.end();
    const [response] = (await once(ask, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(401);
    response.resume();
  }

  it('tells who did what to which object, in the detail the first fitting rule asks', async () => {
    const events = await audited(
      [
        { level: 'Metadata', resources: [{ group: '', resources: ['secrets'] }] },
        {
          level: 'RequestResponse',
          verbs: ['create'],
          resources: [{ group: '', resources: ['configmaps'] }],
          omitManagedFields: true,
        },
        { level: 'Request', verbs: ['patch'] },
        { level: 'None' },
      ],
      async (server) => {
        await server.call('POST', SECRETS, secret);
        const maps = '/api/v1/namespaces/default/configmaps';
        await server.call('POST', `${maps}?dryRun=All`, {
          kind: 'ConfigMap',
          apiVersion: 'v1',
          metadata: { name: 'm' },
          data: { a: 'b' },
        });
        await server.call('PATCH', `${maps}/none`, { data: {} }, patchType.merge);
        await server.call('GET', maps);
        await server.as('eve')('POST', SECRETS, secret);
        await stranger(server.server);
      },
    );
    expect(events.map(({ level, verb, responseStatus }) => [level, verb, responseStatus.code])).toEqual([
      ['Metadata', 'create', 201],
      ['RequestResponse', 'create', 201],
      ['Request', 'patch', 404],
      ['Metadata', 'create', 403],
      ['Metadata', 'list', 401],
    ]);
    const [made, map, patched, refused] = events;
    expect(made).toMatchObject({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      stage: 'ResponseComplete',
      requestURI: SECRETS,
      user: { username: 'test-admin' },
      objectRef: { resource: 'secrets', namespace: 'default', apiVersion: 'v1' },
      annotations: { 'authorization.k8s.io/decision': 'allow' },
    });
    expect(JSON.stringify(made)).not.toContain('correct horse');
    expect(map.requestObject.data).toEqual({ a: 'b' });
    expect(map.responseObject.metadata.uid).toBeTruthy();
    expect(map.responseObject.metadata.managedFields).toBeUndefined();
    expect(patched.requestObject).toEqual({ data: {} });
    expect(patched.responseStatus.reason).toBe('NotFound');
    expect(refused.annotations['authorization.k8s.io/decision']).toBe('forbid');
  });

  it('has every stage unless left out, and follows users, groups, namespaces and paths', async () => {
    const everything = parseAuditPolicy(
      '{kind: Policy, apiVersion: audit.k8s.io/v1, rules: [{level: Metadata}]}',
    );
    expect(everything(undefined, { isResource: false, path: '/x' } as never).omitStages.size).toBe(0);
    const rules = policy(
      { level: 'None', users: ['system:weft'] },
      { level: 'Request', userGroups: ['dev'], namespaces: ['a'] },
      { level: 'None', nonResourceURLs: ['/healthz*', '/version'] },
      { level: 'Metadata' },
    );
    const info = {
      isResource: true,
      verb: 'get',
      path: '',
      group: '',
      version: 'v1',
      resource: 'pods',
      subresource: '',
      namespace: 'a',
      name: 'x',
      rest: [],
    };
    const user = (username: string, ...groups: string[]) => ({ username, groups });
    const plain = (path: string) => ({ ...info, isResource: false, path });
    expect(rules(user('system:weft'), info).level).toBe('None');
    expect(rules(user('ann', 'dev'), info).level).toBe('Request');
    expect(rules(user('ann', 'dev'), { ...info, namespace: 'b' }).level).toBe('Metadata');
    expect(rules(user('ann'), plain('/healthz/ping')).level).toBe('None');
    expect(rules(user('ann'), plain('/metrics')).level).toBe('Metadata');
  });

  it('does not take a policy with mistakes', () => {
    expect(() => policy({ level: 'Everything' })).toThrow('rules[0].level must be one of');
    expect(() => policy()).toThrow('rules must have at least one entry');
    expect(() => parseAuditPolicy('kind: X')).toThrow('it must be of kind Policy');
  });
});
