import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { service, slice } from '../support/kube-objects.ts';
import { waitFor } from '../support/wait-for.ts';
import { exchange, tcpEcho } from './proxy-world.ts';

const WEFT = new URL('../../bin/weft', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'weft-proxy-'));
afterAll(() => rmSync(folder, { recursive: true }));

function manifest(name: string, ...objects: readonly unknown[]): string {
  const path = join(folder, name);
  writeFileSync(path, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  return path;
}

const web = service('shop/web', { clusterIP: '127.96.43.1', ports: [{ name: 'main', port: 4380 }] });
const behind = (port: number) =>
  slice('shop/web-1', 'web', { ports: { main: port }, endpoints: [{ ip: '127.244.43.1' }] });
const quiet = ['--healthz-bind-address', '127.0.0.1:0', '--metrics-bind-address', '127.0.0.1:0'];

function weft(...args: string[]) {
  return spawnSync(WEFT, args, { encoding: 'utf8', timeout: 30_000 });
}

test('--render prints the doors of mode userspace', () => {
  const path = manifest('render.yaml', web, behind(80));
  const { stdout, status } = weft('proxy', '--proxy-mode', 'userspace', '--from', path, '--render');
  expect(stdout).toBe('TCP 127.96.43.1:4380 cluster-ip shop/web:main/TCP -> 127.244.43.1:80\n');
  expect(status).toBe(0);
});

test('all faults of flags and file are told before anything opens, exit 64', () => {
  const flags = weft('proxy', '--proxy-mode', 'bpf', '--iptables-masquerade-bit=99', '--from', folder);
  expect(flags.status).toBe(64);
  expect(flags.stderr).toContain('--proxy-mode: must be');
  expect(flags.stderr).toContain('--iptables-masquerade-bit: must be');
  const config = manifest('config.yaml', { kind: 'ConfigMap' });
  expect(weft('proxy', '--config', config).status).toBe(64);
  expect(weft('proxy', '--config', join(folder, 'missing')).stderr).toContain('ENOENT');
  expect(weft('proxy', '--proxy-mode=userspace', '--once', '--from', folder).status).toBe(64);
  const capture = weft('proxy', '--from', folder, '--userspace-capture=tproxy', '--engine=portable');
  expect(capture.status).toBe(64);
  expect(capture.stderr).toContain('tproxy needs --engine native');
});

test('serves manifests, follows their changes, drains on SIGTERM', async () => {
  await using echo = await tcpEcho('127.244.43.1', 'a');
  const path = manifest('live.yaml', web);
  const child = spawn(WEFT, ['proxy', '--proxy-mode', 'userspace', '--from', path, ...quiet]);
  try {
    const said = output(child);
    await waitFor('ready', () => said().endsWith('ready\n'));
    await expect(exchange('127.96.43.1', 4380)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    manifest('live.yaml', web, behind(echo.port));
    await waitFor('the endpoint', () => exchange('127.96.43.1', 4380).catch(() => undefined));
    const healthz = /healthz: (\S+)/.exec(said())?.[1];
    expect((await fetch(`http://${healthz}/healthz`)).status).toBe(200);
  } finally {
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  }
});

function output(child: ChildProcess): () => string {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}
