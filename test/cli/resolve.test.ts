import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canMakeNamespaces, OwnNetwork, type Output } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { WeftProcess } from '../support/weft-process.ts';

const able = canMakeNamespaces();
let host: OwnNetwork;
let weft: WeftProcess;
let folder: string;

const MANIFEST = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Service
metadata: { name: front, namespace: shop }
spec: { clusterIP: 127.96.7.7, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: alias, namespace: shop }
spec: { type: ExternalName, externalName: front.shop.svc.cluster.local }
---
apiVersion: v1
kind: Pod
metadata: { name: asker, namespace: shop }
spec:
  dnsPolicy: None
  dnsConfig: { nameservers: [127.96.0.10], searches: [shop.svc.cluster.local], options: [{ name: ndots, value: "1" }] }
  containers: [{ name: c, image: none, command: [sleep, '60'] }]
`;

const resolve = (...args: string[]): Output =>
  host.run(`${ROOT}bin/weft`, ['resolve', ...args], environment());
const environment = (input = ''): { env: NodeJS.ProcessEnv; input: string } => ({
  env: { ...process.env, KUBECONFIG: join(folder, 'kubeconfig'), HOME: folder },
  input,
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-resolve-'));
  writeFileSync(join(folder, 'shop.yaml'), MANIFEST);
  if (!able) return;
  host = new OwnNetwork('resolve');
  const kubeconfig = join(folder, 'kubeconfig');
  weft = new WeftProcess(host, [
    'up',
    '--data-dir=memory:',
    `--kubeconfig-out=${kubeconfig}`,
    '--dns-listen=127.0.0.1:5399',
    '--wait-seconds=1',
    `--apply=${join(folder, 'shop.yaml')}`,
  ]);
  await weft.ready();
});

afterAll(async () => {
  if (able) {
    await weft[Symbol.asyncDispose]();
    host[Symbol.dispose]();
  }
  rmSync(folder, { recursive: true, force: true });
});

const FRONT = 'front.shop.svc.cluster.local. 5 IN A 127.96.7.7\n';

describe.runIf(able)('weft resolve asks the running weft', () => {
  it.each<[string, string[], string]>([
    ['a short name, as a pod of the namespace', ['front', '-n', 'shop'], FRONT],
    ['a full name', ['front.shop.svc.cluster.local.', 'A'], FRONT],
    ['over TCP', ['front.shop', 'A', '--tcp'], FRONT],
    ['a server by address', ['front.shop', '--server', '127.0.0.1:5399'], FRONT],
    [
      'SRV data only',
      ['_http._tcp.front.shop', 'SRV', '--short'],
      '0 100 80 front.shop.svc.cluster.local.\n',
    ],
    [
      'the name behind an address',
      ['127.96.7.7'],
      '7.7.96.127.in-addr.arpa. 5 IN PTR front.shop.svc.cluster.local.\n',
    ],
    ['the dnsConfig of a pod', ['front', 'A', '--pod', 'shop/asker'], FRONT],
    [
      'an alias and what is behind it',
      ['alias', 'A', '-n', 'shop'],
      `alias.shop.svc.cluster.local. 5 IN CNAME front.shop.svc.cluster.local.\n${FRONT}`,
    ],
  ])('%s', (_what, args, stdout) =>
    expect(resolve(...args)).toMatchObject({ status: 0, stdout, stderr: '' }),
  );

  it('shows what it tried', () => {
    const { stdout } = resolve('front.shop', 'A', '--trace');
    expect(stdout).toMatch(/^TRIED\s+TYPE\s+RESULT\s+MS\s+WHY\n/);
    expect(stdout).toMatch(/^front\.shop\.default\.svc\.cluster\.local\.\s+A\s+NXDOMAIN\s+[\d.]+$/m);
    expect(stdout).toMatch(/^front\.shop\.svc\.cluster\.local\.\s+A\s+1 record\s+[\d.]+\s+ends the search$/m);
  });

  it('says what is missing and ends with 1', () => {
    const { status, stdout, stderr } = resolve('nosuch.shop.svc.cluster.local.', 'A');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe(
      'weft: nosuch.shop.svc.cluster.local.: NXDOMAIN: no A record under 1 name, asked of 127.0.0.1:5399 over udp\n',
    );
  });

  it('tells a name without such a record from a name that is not there', () =>
    expect(resolve('front.shop.svc.cluster.local.', 'HTTPS').stderr).toContain('NODATA: no HTTPS record'));

  it.each<[string, string[], string]>([
    ['no name', [], 'give either a name or --batch FILE'],
    ['a type that is none', ['front', 'AXYZ'], '"AXYZ" is not a record type'],
    ['a name that is none', ['a..b'], '"a..b" is not a domain name'],
    ['a pod that is not there', ['front', '--pod', 'shop/nobody'], 'nobody'],
    [
      'a server that is no address',
      ['front', '--server', 'dns.example'],
      '--server dns.example: use ADDRESS',
    ],
  ])('refuses %s with 64', (_what, args, text) => {
    const { status, stderr } = resolve(...args);
    expect(stderr).toContain(text);
    expect(status).toBe(64);
  });
});

describe.runIf(able)('weft resolve --from answers without a running cluster', () => {
  const from = (...args: string[]): Output => resolve(...args, '--from', join(folder, 'shop.yaml'));

  it('finds what the manifests hold', () =>
    expect(from('front', '-n', 'shop')).toMatchObject({ status: 0, stdout: FRONT }));

  it('takes the search path of a pod of the manifests', () =>
    expect(from('front', 'A', '--pod', 'shop/asker')).toMatchObject({ status: 0, stdout: FRONT }));

  it('says NXDOMAIN for what they do not hold', () =>
    expect(from('nosuch', '-n', 'shop').stderr).toContain(
      'nosuch: NXDOMAIN: no A or AAAA record under 4 names',
    ));

  it('answers a batch, one line a line, bad lines included', () => {
    const lines = ['{"name":"front","type":"A","namespace":"shop"}', 'oops', '{"name":"x","type":"NOPE"}'];
    const { stdout } = host.run(
      `${ROOT}bin/weft`,
      ['resolve', '--batch', '-', '--from', join(folder, 'shop.yaml')],
      environment(lines.join('\n')),
    );
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(answers).toHaveLength(3);
    expect(answers[0]).toMatchObject({
      name: 'front',
      rcode: 'NOERROR',
      found: 'front.shop.svc.cluster.local.',
      answer: [FRONT.trim()],
    });
    expect(answers[1]).toHaveProperty('error');
    expect(answers[2]).toHaveProperty('error');
  });
});

it('the kernel lets the tests make namespaces', (ctx) => {
  if (!able) ctx.skip('needs root for network namespaces');
});
