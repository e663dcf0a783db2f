import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { service, slice } from '../support/kube-objects.ts';
import { hostLacks } from '../support/host-lacks.ts';
import { waitFor } from '../support/wait-for.ts';

const WEFT = new URL('../../bin/weft', import.meta.url).pathname;
/** A busy machine takes its time to start a process. */
const PATIENCE_MS = 60_000;
const HOST = `weft-us-h${process.pid}`;
const POD = `weft-us-p${process.pid}`;

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

/** A host with one pod behind a veth pair, each a network namespace of its own. */
function openNamespaces(): Disposable {
  for (const name of [HOST, POD]) ip('netns', 'add', name);
  ip('-n', HOST, 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', POD);
  for (const [name, link, last] of [
    [HOST, 'veth0', 1],
    [POD, 'eth0', 7],
  ] as const) {
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'addr', 'add', `10.42.1.${last}/24`, 'dev', link);
    ip('-n', name, 'addr', 'add', `fd42::${last}/64`, 'dev', link, 'nodad');
    ip('-n', name, 'link', 'set', link, 'up');
  }
  ip('-n', POD, 'route', 'add', 'default', 'via', '10.42.1.1');
  ip('-n', POD, 'route', 'add', 'default', 'via', 'fd42::1');
  return {
    [Symbol.dispose]: () => {
      for (const name of [HOST, POD]) ip('netns', 'del', name);
    },
  };
}

function inside(name: string, ...command: string[]): ChildProcess {
  return spawn('ip', ['netns', 'exec', name, ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
}

function ask(name: string, address: string): string {
  const args = ['netns', 'exec', name, 'curl', '-s', '-m', '3', '-w', '%{exitcode}', `http://${address}/`];
  try {
    return execFileSync('ip', args, { encoding: 'utf8' });
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout);
  }
}

function ended(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => child.on('exit', resolve));
}

test('addresses outside loopback are this host own while they are served', async (context) => {
  const reason = hostLacks('ip', 'curl');
  if (reason !== undefined) context.skip(reason);
  const folder = mkdtempSync(join(tmpdir(), 'weft-us-'));
  using namespaces = openNamespaces();
  const path = join(folder, 'web.json');
  const items = [
    service('shop/web', { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80 }] }),
    service('shop/none', { clusterIP: '10.96.0.2', ports: [{ name: 'http', port: 80 }] }),
    slice('shop/web-1', 'web', { ports: { http: 8080 }, endpoints: [{ ip: '10.42.1.1' }] }),
    service('shop/six', { clusterIP: 'fd96::1', ipFamilies: ['IPv6'], ports: [{ name: 'http', port: 80 }] }),
    {
      ...slice('shop/six-1', 'six', { ports: { http: 8080 }, endpoints: [{ ip: 'fd42::1' }] }),
      addressType: 'IPv6',
    },
  ];
  const write = (some: readonly unknown[]) =>
    writeFileSync(path, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: some }));
  write(items);
  const server = `for (const address of ['10.42.1.1', 'fd42::1'])
    require('http').createServer((q, s) => s.end(q.socket.remoteAddress)).listen(8080, address)`;
  const backend = inside(HOST, process.execPath, '-e', server);
  const flags = ['--proxy-mode=userspace', '--metrics-bind-address=', '--healthz-bind-address='];
  const proxy = inside(HOST, WEFT, 'proxy', '--from', path, ...flags);
  try {
    await waitFor('the service from the pod', () => ask(POD, '10.96.0.1') === '10.42.1.10', PATIENCE_MS);
    expect(ask(HOST, '10.96.0.1')).toBe('10.42.1.10');
    expect(ask(POD, '10.96.0.2')).toBe('7'); // curl: connection refused
    await waitFor('the IPv6 service', () => ask(POD, '[fd96::1]') === 'fd42::10', PATIENCE_MS);
    expect(ask(HOST, '[fd96::1]')).toBe('fd42::10');
    write(items.slice(1));
    await waitFor('the address to go', () => !routes().includes('10.96.0.1 '), PATIENCE_MS);
    expect(routes()).toContain('10.96.0.2 ');
  } finally {
    const done = ended(proxy);
    proxy.kill('SIGTERM');
    await done;
    const over = ended(backend);
    backend.kill('SIGKILL');
    await over;
    rmSync(folder, { recursive: true });
  }
  expect(routes()).not.toContain('proto 151');
  expect(namespaces).toBeDefined();
});

function routes(): string {
  return ip('-n', HOST, 'route', 'show', 'table', 'local');
}
