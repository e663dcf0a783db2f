import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { client } from '../support/kubectl.ts';
import { canMakeNamespaces } from '../support/own-network.ts';
import { waitFor } from '../support/wait-for.ts';
import type { WeftProcess } from '../support/weft-process.ts';
import { classYaml, Edge, ingressYaml, serviceYaml } from './support/edge.ts';

const able = canMakeNamespaces();
const LONG_MS = 30_000;

describe.runIf(able)('weft ingress --from', () => {
  let edge: Edge;
  let weft: WeftProcess;
  const at = (host: string, path = '/'): string[] => ['-H', `Host: ${host}`, `http://127.0.0.1:80${path}`];

  beforeAll(async () => {
    edge = new Edge('ing-from');
    await edge.backends('red,127.0.0.1,8001', 'blue,127.0.0.1,8002');
    edge.file('1.yaml', classYaml + serviceYaml('red', [['127.0.0.1', 8001]]));
    edge.file('2.yaml', ingressYaml('web', 'web.test', 'red'));
    weft = await edge.weft(['ingress', '--from', edge.folder, '--access-log', 'upstreaminfo']);
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  it('prints where it listens and ready last', () => {
    expect(weft.output).toMatch(/^metrics .*:10254\nhttp .*:80\nhttps .*:443\nready$/m);
  });

  it('routes by host, plain, TLS and HTTP/2', () => {
    expect(edge.curl(...at('web.test')).body).toContain('"backend":"red"');
    const tls = ['--resolve', 'web.test:443:127.0.0.1', 'https://web.test/x?y=1'];
    expect(JSON.parse(edge.curl('--http2', ...tls).body)).toMatchObject({ backend: 'red', url: '/x?y=1' });
    expect(edge.curl('--http1.1', ...tls).status).toBe(200);
    expect(edge.curl('--http2-prior-knowledge', ...at('web.test')).status).toBe(200);
  });

  it('answers 404 without a rule', () => expect(edge.curl(...at('none.test')).status).toBe(404));

  it('follows changes of the manifests', async () => {
    edge.file('3.yaml', serviceYaml('blue', [['127.0.0.1', 8002]]) + ingressYaml('new', 'new.test', 'blue'));
    const found = await waitFor(
      'the new rule',
      () => edge.curl(...at('new.test')).status === 200 && edge.curl(...at('new.test')).body,
      LONG_MS,
    );
    expect(found).toContain('"backend":"blue"');
  });

  it("logs in ingress-nginx's format", async () => {
    edge.curl('-A', 'te"st', ...at('web.test', '/logged'));
    await waitFor('the log line', () => weft.output.includes('/logged'), LONG_MS);
    expect(weft.output).toMatch(
      /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:[\d:]{8} \+0000\] "GET \/logged HTTP\/1\.1" 200 \d+ "-" "te\\x22st" \d+ \d\.\d{3} \[default-red-80\] \[\] 127\.0\.0\.1:8001 \d+ \d\.\d{3} 200 [0-9a-f]{32}$/m,
    );
  });

  it('serves health and metrics on its own port', () => {
    expect(edge.curl('http://127.0.0.1:10254/readyz')).toEqual({ body: 'ok\n', status: 200 });
    const { body } = edge.curl('http://127.0.0.1:10254/metrics');
    expect(body).toMatch(/^nginx_ingress_controller_build_info\{release="\d+\.\d+\.\d+"\} 1$/m);
    expect(body).toMatch(
      /nginx_ingress_controller_requests\{ingress="web",namespace="default",service="red",status="200",method="GET",host="web.test",path="\/",canary=""\} \d+/,
    );
  });

  it('refuses bad flags and ports that are taken before anything opens', () => {
    const weftRun = (...args: string[]): { status: number | null; stderr: string } =>
      edge.network.run(`${process.cwd()}/bin/weft`, ['ingress', ...args]);
    expect(weftRun('--from', edge.folder, '--http-port', '99999').status).toBe(64);
    expect(weftRun('--kubeconfig', '/nowhere').status).toBe(64);
    const taken = weftRun('--from', edge.folder);
    expect(taken.status).toBe(1);
    expect(taken.stderr).toMatch(/\[::\]:80: the port is in use/);
  });

  it('finishes what is under way, then ends with 0', async () => {
    expect(await weft.stop()).toBe(0);
    expect(edge.curl(...at('web.test')).status).toBe(0);
  });
});

describe.runIf(able)('weft ingress --kubeconfig', () => {
  let edge: Edge;
  const config = (): string => `${edge.folder}/admin.conf`;
  const kubectl = (...args: string[]): string => {
    const env = { ...process.env, HOME: edge.folder };
    const { stdout, stderr } = edge.network.run(client('kubectl'), ['--kubeconfig', config(), ...args], {
      env,
    });
    return stdout + stderr;
  };
  const start = (...more: string[]): Promise<WeftProcess> =>
    edge.weft([
      'ingress',
      '--kubeconfig',
      config(),
      '--http',
      '127.0.0.1:80',
      '--https',
      '127.0.0.1:443',
      '--publish-status-address',
      '203.0.113.7,edge.example',
      '--access-log',
      'off',
      ...more,
    ]);

  beforeAll(async () => {
    edge = new Edge('ing-api');
    await edge.backends('red,127.0.0.1,8001');
    await edge.weft([
      'server',
      '--store',
      'memory:',
      '--data-dir',
      `${edge.folder}/data`,
      '--api-listen',
      '127.0.0.1:6443',
      '--lb-pool',
      '198.51.100.7/32',
      '--kubeconfig-out',
      config(),
    ]);
    const objects = edge.file(
      'objects.yaml',
      classYaml +
        serviceYaml('red', [['127.0.0.1', 8001]]) +
        ingressYaml('web', 'web.test', 'red', {
          annotations: { 'configuration-snippet': 'gzip on;', 'proxy-body-size': '8m' },
          tls: 'web-tls',
        }) +
        ingressYaml('other', 'other.test', 'red').replace('"nginx"', '"foreign"'),
    );
    await waitFor('the default namespace', () => kubectl('get', 'ns').includes('default'), LONG_MS);
    kubectl('apply', '-f', objects);
    edge.network.run('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '9',
      '-subj',
      '/CN=web.test',
      '-addext',
      'subjectAltName=DNS:web.test',
      '-keyout',
      `${edge.folder}/key.pem`,
      '-out',
      `${edge.folder}/cert.pem`,
    ]);
    const pair = ['--cert', `${edge.folder}/cert.pem`, '--key', `${edge.folder}/key.pem`];
    kubectl('create', 'secret', 'tls', 'web-tls', ...pair);
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  it('serves with the certificate of the Secret and writes the status', async () => {
    await using weft = await start();
    const shown = edge.network.run('curl', [
      '-vsk',
      '--resolve',
      'web.test:443:127.0.0.1',
      'https://web.test/',
    ]);
    expect(shown.stderr).toMatch(/subject: CN=web\.test/);
    expect(shown.stdout).toContain('"backend":"red"');
    const status = ['get', 'ingress', 'web', '-o', 'jsonpath={.status.loadBalancer.ingress}'];
    const found = await waitFor(
      'the status',
      () => kubectl(...status).includes('203') && kubectl(...status),
      LONG_MS,
    );
    expect(JSON.parse(found)).toEqual([{ ip: '203.0.113.7' }, { hostname: 'edge.example' }]);
    expect(kubectl('get', 'ingress', 'other', '-o', 'jsonpath={.status}')).not.toContain('203.0.113.7');
    await weft.stop();
  });

  it('tells of refused annotations by an event', async () => {
    await waitFor(
      'the event',
      () => kubectl('get', 'events').includes('configuration-snippet: nginx text is never taken'),
      LONG_MS,
    );
  });

  it('clears the status of one that changed its class', async () => {
    await using weft = await start('--disable-leader-election');
    kubectl('patch', 'ingress', 'web', '-p', '{"spec":{"ingressClassName":"foreign"}}');
    await waitFor(
      'the status to be cleared',
      () => kubectl('get', 'ingress', 'web', '-o', 'jsonpath={.status.loadBalancer.ingress[0].ip}') === '',
      LONG_MS,
    );
    kubectl('patch', 'ingress', 'web', '-p', '{"spec":{"ingressClassName":"nginx"}}');
    await weft.stop();
  });

  it('leaves the status to the holder of the Lease', async () => {
    const lease = [
      'get',
      'lease',
      '-A',
      '-o',
      'jsonpath={.items[?(@.metadata.name=="weft-ingress-leader")].spec}',
    ];
    await using weft = await start();
    await waitFor('the Lease', () => kubectl(...lease).includes('"holderIdentity"'), LONG_MS);
    await weft.stop();
    await waitFor('the Lease given back', () => !kubectl(...lease).includes('"holderIdentity"'), LONG_MS);
  });

  it('needs no more rights than the deployment gives it', async () => {
    kubectl('apply', '-f', `${process.cwd()}/deploy/kubernetes/weft-ingress.yaml`);
    const inNamespace = ['-n', 'weft-ingress'];
    const token = kubectl(...inNamespace, 'create', 'token', 'weft-ingress').trim();
    const cluster = kubectl('config', 'view', '--raw', '-o', 'json');
    const view = JSON.parse(cluster) as { users: { user: object }[]; contexts: { context: object }[] };
    view.users[0]!.user = { token };
    view.contexts[0]!.context = { ...view.contexts[0]!.context, namespace: 'weft-ingress' };
    const limited = edge.file('limited.conf', JSON.stringify(view));
    await using weft = await edge.weft(
      [
        'ingress',
        '--kubeconfig',
        limited,
        '--http',
        '127.0.0.1:80',
        '--https',
        '127.0.0.1:443',
        '--publish-service',
        'weft-ingress/weft-ingress',
      ],
      { POD_NAMESPACE: 'weft-ingress', POD_NAME: 'weft-ingress-0' },
    );
    const tls = ['--resolve', 'web.test:443:127.0.0.1', 'https://web.test/'];
    await waitFor('the backend', () => edge.curl(...tls).body.includes('"backend":"red"'), LONG_MS);
    const status = ['get', 'ingress', 'web', '-o', 'jsonpath={.status.loadBalancer.ingress[0].ip}'];
    await waitFor('the address of the Service', () => kubectl(...status) === '198.51.100.7', LONG_MS);
    expect(
      kubectl(...inNamespace, 'get', 'lease', 'weft-ingress-leader', '-o', 'jsonpath={.spec.holderIdentity}'),
    ).toBe('weft-ingress-0');
    expect(weft.output).not.toMatch(/forbidden/i);
    await weft.stop();
  });
});

it('needs network namespaces', (ctx) => {
  if (!able) ctx.skip('network namespaces need root');
});
