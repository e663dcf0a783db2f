import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiClient } from '../../../src/api/client/api-client.ts';
import { ApiError } from '../../../src/api/client/client.ts';
import { inClusterAccess } from '../../../src/api/client/in-cluster.ts';
import { loadKubeconfig } from '../../../src/api/client/kubeconfig.ts';
import { openHttpExchange } from '../../../src/api/client/open-exchange.ts';
import { resources } from '../../../src/api/client/resources.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { ApiServer } from '../../../src/api/server/server.ts';
import { exec } from '../../../src/net/exec.ts';
import { openMemoryStore } from '../../../src/store/memory-store.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-kubeconfig-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const deps = { clock: systemClock, exec, env: { PATH: '/usr/bin:/bin' } };

async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

function config(cluster: string, user: string): string {
  return `current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: ${cluster}}]
users: [{name: u, user: ${user}}]
`;
}

describe('kubeconfig faults name file and field', () => {
  const cases: [string, string, string][] = [
    ['YAML', 'a: [', 'is not YAML'],
    ['no context', 'clusters: []', 'current-context is not set'],
    ['server missing', config('{}', '{}'), 'clusters[0].cluster.server is required'],
    [
      'server is no URL',
      config('{server: "ftp://x"}', '{}'),
      'clusters[0].cluster.server is no http or https URL',
    ],
    [
      'bad base64',
      config('{server: "https://x", certificate-authority-data: "!!"}', '{}'),
      'clusters[0].cluster.certificate-authority-data is not base64 of a PEM',
    ],
    [
      'CA file missing',
      config('{server: "https://x", certificate-authority: none.pem}', '{}'),
      'none.pem, which cannot be read',
    ],
    [
      'token is a number',
      config('{server: "https://x"}', '{token: 5}'),
      'users[0].user.token must be a string',
    ],
    [
      'exec version',
      config('{server: "https://x"}', '{exec: {command: x, apiVersion: v0}}'),
      'users[0].user.exec.apiVersion must be',
    ],
    [
      'unknown cluster',
      config('{server: "https://x"}', '{}').replace('cluster: k, user', 'cluster: z, user'),
      'contexts[0].context.cluster names "z"',
    ],
  ];
  it.each(cases)('%s', async (_name, text, message) => {
    const path = await write('config', text);
    await expect(loadKubeconfig(path)).rejects.toThrow(message);
    await expect(loadKubeconfig(path)).rejects.toThrow(`kubeconfig ${path}`);
  });

  it('merges files of a KUBECONFIG list, the first to say something wins', async () => {
    const first = await write('a', 'current-context: c\nusers: [{name: u, user: {token: one}}]');
    const second = await write('b', config('{server: "https://x:6443/base"}', '{token: two}'));
    const access = await loadKubeconfig(`${first}:${join(folder, 'missing')}:${second}`);
    expect([access.token, access.server.href]).toEqual(['one', 'https://x:6443/base']);
  });

  it('says what is missing outside of a pod', async () => {
    await expect(inClusterAccess({})).rejects.toThrow('KUBERNETES_SERVICE_HOST');
  });
});

describe('credentials that change', () => {
  let server: Server;
  let accepted: string;
  const seen: (string | undefined)[] = [];
  beforeEach(async () => {
    seen.length = 0;
    server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(request.headers.authorization === accepted ? 200 : 401).end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    server.close();
  });
  const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  it('reads a rotated token file again after a 401', async () => {
    const token = await write('token', 'old');
    const access = await loadKubeconfig(
      await write('config', config(`{server: "${url()}"}`, '{tokenFile: token}')),
    );
    await using open = openHttpExchange(access, deps);
    const client = createApiClient(open.exchange);
    accepted = 'Bearer old';
    await client.read('/version');
    await writeFile(token, 'new');
    accepted = 'Bearer new';
    await client.read('/version');
    expect(seen).toEqual(['Bearer old', 'Bearer old', 'Bearer new']);
  });

  it('runs an exec plugin, and says what it printed when it fails', async () => {
    const plugin = await write(
      'plugin',
      '#!/bin/sh\n[ "$MODE" = bad ] && { echo no login >&2; exit 3; }\necho \'{"status":{"token":"fresh"}}\'\n',
    );
    await chmod(plugin, 0o755);
    const user = (mode: string): string =>
      `{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, env: [{name: MODE, value: ${mode}}]}}`;
    accepted = 'Bearer fresh';
    for (const mode of ['good', 'bad']) {
      const access = await loadKubeconfig(await write('config', config(`{server: "${url()}"}`, user(mode))));
      await using open = openHttpExchange(access, deps);
      const reply = createApiClient(open.exchange).read('/version');
      if (mode === 'good') await reply;
      else await expect(reply).rejects.toThrow('exit code 3: no login');
    }
  });
});

describe('over TLS', () => {
  it('talks to the real server with its own admin kubeconfig, and reports a server that is away', async () => {
    const parts = { clock: systemClock, log: silentLogger };
    await using store = openMemoryStore(parts);
    const server = await ApiServer.open(
      { ...parts, store, metrics: new Registry() },
      {
        dataDir: undefined,
        listen: { host: '127.0.0.1', port: 0 },
        serviceCidrs: ['10.96.0.0/16'],
        nodePortRange: { from: 30000, to: 32767 },
      },
    );
    const access = await loadKubeconfig(await write('admin', server.adminKubeconfig));
    await using open = openHttpExchange(access, deps);
    const client = createApiClient(open.exchange);
    const found = await client.list(resources.namespaces);
    expect(found.items.map(({ metadata }) => metadata.name)).toContain('default');
    await expect(client.get(resources.pods, 'none', 'default')).rejects.toThrow(ApiError);
    await server[Symbol.asyncDispose]();
    await expect(client.list(resources.namespaces)).rejects.toMatchObject({ code: 'API_UNREACHABLE' });
  });
});
