import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canMakeNamespaces, type Output, OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';

const able = canMakeNamespaces();
let host: OwnNetwork;
let folder: string;

beforeAll(() => {
  if (!able) return;
  folder = mkdtempSync(join(tmpdir(), 'weft-mistakes-'));
  host = new OwnNetwork('mistakes');
});
afterAll(() => {
  if (!able) return;
  host[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const weft = (args: string): Output =>
  host.run(`${ROOT}bin/weft`, args.split(' '), {
    env: { ...process.env, HOME: folder, KUBECONFIG: '' },
  });

/** A kubeconfig whose server is not there. */
function deadKubeconfig(): string {
  const path = join(folder, 'kubeconfig');
  const clusters = [{ name: 'c', cluster: { server: 'http://127.0.0.1:1' } }];
  const contexts = [{ name: 'c', context: { cluster: 'c', user: 'u' } }];
  const users = [{ name: 'u', user: {} }];
  const config = { apiVersion: 'v1', kind: 'Config', 'current-context': 'c', clusters, contexts, users };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

describe.runIf(able)('mistakes on the command line', () => {
  it.each([
    ['dns --from /not/there', /--from.*\/not\/there.*no such file or folder/],
    ['ingress --from /not/there', /--from.*\/not\/there.*no such file or folder/],
    ['resolve x --from /not/there', /--from.*\/not\/there.*no such file or folder/],
    // an empty cluster would take all rules away
    ['proxy --from /not/there --proxy-mode nftables --once', /--from.*\/not\/there.*no such file or folder/],
    ['up --apply /not/there', /--apply.*\/not\/there.*no such file or folder/],
    ['up --lb-pool x', /--lb-pool.*Use FIRST-LAST/],
    ['up --wait-seconds x', /--wait-seconds.*Use a number of seconds/],
    ['up --proxy-mode x', /--proxy-mode.*userspace, iptables, ipvs, nftables/],
    ['server --lb-pool 10.0.0.9-10.0.0.1', /--lb-pool.*Use FIRST-LAST/],
    ['server --store x:y', /--store.*Use sqlite:FILE/],
    ['store check x:y', /x:y.*Use sqlite:FILE/],
    ['completion sh', /sh.*bash, zsh, fish/],
    ['dnss', /unknown command 'dnss'\n\(Did you mean dns\?\)/],
  ])('weft %s', (args, message) => {
    const { status, stdout, stderr } = weft(args);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(status).toBe(64);
  });

  it('weft help COMMAND is weft COMMAND --help', () => {
    const { status, stdout } = weft('help resolve');
    expect(stdout).toBe(weft('resolve --help').stdout);
    expect(stdout).toContain('--ndots');
    expect(status).toBe(0);
  });

  it.each([
    'ingress check',
    'ingress explain GET http://shop.example/',
    'ingress diff --to .',
    'trace --dns web.shop',
    'trace --to 10.96.0.1:443',
    'proxy --proxy-mode nftables --render',
    'resolve web.shop',
  ])('weft %s without an API server says so at the first refusal', (command) => {
    const { status, stdout, stderr } = weft(`${command} --kubeconfig ${deadKubeconfig()}`);
    expect(stderr).toMatch(/^weft: .*GET \/\S+: connect ECONNREFUSED/);
    expect(stderr).toMatch(/--kubeconfig, or/);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  it('a second weft node on one host', async () => {
    const kubeconfig = deadKubeconfig();
    const args = `node --kubeconfig ${kubeconfig} --data-dir ${folder}`;
    await using _first = new WeftProcess(host, args.split(' '));
    const claims = (): string => host.run('cat', ['/proc/net/unix']).stdout;
    await waitFor('the first one', () => claims().includes('@weft node'), 60_000);
    const { status, stderr } = weft(args);
    expect(stderr).toMatch(/^weft: weft node runs on this host already \(process \d+\); stop it first$/m);
    expect(status).toBe(1);
    expect(claims()).toContain('@weft node');
  });

  it('a port in use: says where another one is chosen', async () => {
    host.start('socat', ['TCP-LISTEN:8080,fork', '/dev/null']);
    await waitFor('a listener', () => host.run('ss', ['-Hlnt']).stdout.includes(':8080'), 60_000);
    const corefile = join(folder, 'Corefile');
    writeFileSync(corefile, '.:1053 {\n  whoami\n  health\n}\n');
    const other = 'Another program or another weft holds it: stop that, or';
    for (const [args, way] of [
      [`dns --from ${folder} --dns.port 8080`, 'choose another one with --dns.port'],
      [`dns --from ${folder} --dns.port 1053`, 'give a Corefile of your own with --conf'],
      [`dns --conf ${corefile}`, 'choose another one in the Corefile'],
      [`ingress --from ${folder} --http-port 8080`, 'choose another one with --http-port'],
      [`ingress --from ${folder} --http 127.0.0.1:8080`, 'choose another one with --http.'],
      [`ingress --from ${folder} --healthz-port 8080`, 'choose another one with --healthz-port'],
    ]) {
      const { status, stderr } = weft(args!);
      expect(stderr).toMatch(/^weft: cannot listen on \S+:8080(?:\/tcp)?: the port is in use\./m);
      expect(stderr).toContain(`${other} ${way}`);
      expect(status).toBe(1);
    }
  });
});

if (!able) it('mistakes on the command line', (ctx) => ctx.skip('needs root to make network namespaces'));
