import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canMakeNamespaces, type Output, OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { WeftProcess } from '../support/weft-process.ts';

const able = canMakeNamespaces();
let host: OwnNetwork;
let folder: string;

beforeAll(() => {
  if (!able) return;
  folder = mkdtempSync(join(tmpdir(), 'weft-bad-'));
  host = new OwnNetwork('bad');
});
afterAll(() => {
  if (!able) return;
  host[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const up = (...args: string[]): Output =>
  host.run('timeout', ['-k', '1', '30', `${ROOT}bin/weft`, 'up', ...args], { timeoutMs: 40_000 });
const inFolder = (name: string, text?: string): string => {
  const path = join(folder, name);
  if (text !== undefined) writeFileSync(path, text);
  return path;
};
/** Nothing half-started: no process, no socket. */
const nothingRuns = (): void => {
  expect(host.processes()).toEqual([]);
  expect(host.run('ss', ['-Hlntu']).stdout).toBe('');
};

describe.runIf(able)('weft up refuses in one sentence', () => {
  it('manifests that fail: a table, the others applied, exit 1', () => {
    mkdirSync(inFolder('set'));
    inFolder(
      'set/a.yaml',
      'apiVersion: v1\nkind: Service\nmetadata: {name: good}\nspec: {ports: [{port: 80}]}\n---\n' +
        'apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec:\n  ports:\n  - port: 70000\n',
    );
    inFolder('set/b.yaml', 'apiVersion: v1\nkind: Service\nmetadata: {name: x\nspec: {}\n');
    inFolder('set/c.yaml', 'apiVersion: example.com/v1\nkind: Unknown\nmetadata: {name: x}\n');
    const { status, stdout, stderr } = up('--data-dir', inFolder('d1'), '--apply', inFolder('set'));
    expect(stderr).toMatch(/^FAILED\s+FIELD\s+MESSAGE$/m);
    expect(stderr).toMatch(/set\/a\.yaml:11\s+spec\.ports\[0\]\.port\s+.*70000: must be between 1 and 65535/);
    expect(stderr).toMatch(/set\/b\.yaml:\d+\s+-\s+Flow map/);
    expect(stderr).toMatch(/set\/c\.yaml:\d+\s+kind\s+no matches for kind "Unknown" in version "example.com/);
    expect(stdout).toMatch(/default\s+good\s+ClusterIP/);
    expect(stdout).not.toMatch(/^ready$/m);
    expect(status).toBe(1);
    nothingRuns();
  });

  it.each(['6443', '10053', '8080', '8443'])('port %s in use', async (port) => {
    const flag = {
      6443: '--api-listen',
      10053: '--dns-listen',
      8080: '--ingress-http',
      8443: '--ingress-https',
    }[port];
    const holder = host.start('socat', [`TCP-LISTEN:${port},bind=127.0.0.1,fork`, '/dev/null']);
    while (!host.run('ss', ['-Hlnt']).stdout.includes(port)) await new Promise(setImmediate);
    const { status, stderr } = up('--data-dir', inFolder('d2'));
    expect(stderr).toMatch(
      new RegExp(
        `^weft: cannot listen on 127.0.0.1:${port}.*: .*\\. Another program .*choose another one with ${flag}\\.$`,
        'm',
      ),
    );
    expect(status).toBe(1);
    holder.kill('SIGKILL');
    await new Promise((resolve) => holder.once('exit', resolve));
    nothingRuns();
  });

  it.each([
    ['a file', () => join(inFolder('file', ''), 'x')],
    ['a folder nobody can write', () => '/proc/weft'],
  ])('a data folder that is %s', (_name, path) => {
    const { status, stderr } = up('--data-dir', path());
    expect(stderr).toMatch(/^weft: cannot use \S+ as data folder: .* Choose another with --data-dir\.$/m);
    expect(status).toBe(1);
    nothingRuns();
  });

  it('a store that is damaged', () => {
    mkdirSync(inFolder('d3'));
    inFolder('d3/store.db', 'not a database, and much longer than a header of one hundred bytes '.repeat(10));
    const { status, stderr } = up('--data-dir', inFolder('d3'));
    expect(stderr).toMatch(/store\.db is damaged .*restore a backup, or move it away to start empty/);
    expect(status).toBe(1);
    nothingRuns();
  });

  it('a full disk', () => {
    const path = inFolder('full');
    const script = `mkdir ${path} && mount -t tmpfs -o size=300k tmpfs ${path} && exec timeout -k 1 30 ${ROOT}bin/weft up --data-dir ${path}/d`;
    const { status, stderr } = host.run('unshare', ['-m', 'sh', '-c', script], { timeoutMs: 40_000 });
    expect(stderr).toMatch(/^weft: no space left for \S+store\.db: nothing was written; free space/m);
    expect(status).toBe(1);
    nothingRuns();
  });

  it('a certificate that cannot be read', async () => {
    const path = inFolder('d6');
    await using first = new WeftProcess(host, ['up', '--data-dir', path]);
    await first.ready();
    expect(await first.stop()).toBe(0);
    writeFileSync(join(path, 'pki/ca.crt'), 'garbage');
    const { status, stderr } = up('--data-dir', path);
    expect(stderr).toMatch(/^weft: cannot use \S+pki\/ca\.crt: .*; restore it, or move \S+pki away/m);
    expect(status).toBe(1);
    nothingRuns();
  });

  it('a data folder that another weft uses', async () => {
    await using first = new WeftProcess(host, ['up', '--data-dir', inFolder('d4')]);
    await first.ready();
    const { status, stderr } = up('--data-dir', inFolder('d4'));
    expect(stderr).toMatch(/d4\S* is in use by process \d+; stop it first/);
    expect(status).toBe(1);
    expect(await first.stop()).toBe(0);
    nothingRuns();
  });

  it('another service range than the store was made with', async () => {
    const path = inFolder('d7');
    await using first = new WeftProcess(host, ['up', '--data-dir', path]);
    await first.ready();
    expect(await first.stop()).toBe(0);
    const { status, stderr } = up('--data-dir', path, '--service-cidr', '127.95.0.0/16');
    expect(stderr).toMatch(
      /kube-dns has 127\.96\.0\.10 and would get 127\.95\.0\.10; start with the --service/,
    );
    expect(status).toBe(1);
    nothingRuns();
  });

  it('a path that is not there', () => {
    const { status, stderr } = up('--data-dir', inFolder('d5'), '--apply', '/does/not/exist');
    expect(stderr).toMatch(/\/does\/not\/exist.*no such file/);
    expect(status).toBe(64);
    nothingRuns();
  });
});

if (!able) it('weft up refuses in one sentence', (ctx) => ctx.skip('needs root to make network namespaces'));
