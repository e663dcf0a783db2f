import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { client } from '../support/kubectl.ts';
import { canMakeNamespaces, OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';

const able = canMakeNamespaces();
let host: OwnNetwork;
let weft: WeftProcess;
let folder: string;

const up = (...more: string[]): WeftProcess =>
  new WeftProcess(host, ['up', '--data-dir', join(folder, 'data'), ...more]);
const sh = (script: string): string => host.run('sh', ['-c', script]).stdout.trim();
const kubectl = (...args: string[]): string => {
  const result = host.run(client('kubectl'), ['--kubeconfig', join(folder, 'data/kubeconfig'), ...args], {
    env: { ...process.env, HOME: folder },
  });
  return result.stdout + result.stderr;
};
const vip = (): string => sh('dig @127.0.0.1 -p 10053 +short front.shop.svc.cluster.local');

/** Speaks WebSocket from inside the namespace: says hello and prints what comes back. */
const WEBSOCKET = `
import { WebSocket } from '${ROOT}node_modules/ws/wrapper.mjs';
const socket = new WebSocket('wss://chat.localhost:8443/', { rejectUnauthorized: false, lookup: (_h, o, cb) => (o.all ? cb(null, [{ address: '127.0.0.1', family: 4 }]) : cb(null, '127.0.0.1', 4)) });
socket.on('open', () => socket.send('hello weft'));
socket.on('message', (data) => { const text = data.toString(); if (text.includes('hello weft')) { console.log(text); socket.close(); } });
socket.on('error', (error) => { console.log('error', error.message); process.exit(1); });
`;

beforeAll(async () => {
  if (!able) return;
  folder = mkdtempSync(join(tmpdir(), 'weft-up-'));
  host = new OwnNetwork('up');
  weft = up('--apply', `${ROOT}examples/shop`);
  await weft.ready();
});

afterAll(async () => {
  if (!able) return;
  await weft[Symbol.asyncDispose]();
  host[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe.runIf(able)('weft up with the shop', () => {
  it('prints each service with its address, name and URL', () => {
    expect(weft.output).toMatch(
      /shop\s+front\s+ClusterIP\s+127\.96\.\d+\.\d+\s+80\/TCP\s+3\/3\s+front\.shop\.svc\.cluster\.local/,
    );
    expect(weft.output).toMatch(/shop\s+payments\s+ExternalName/);
  });

  it.each([
    ['A of a ClusterIP service', '+short front.shop.svc.cluster.local', /^127\.96\.\d+\.\d+$/],
    [
      'SRV of a headless service',
      'SRV cart.shop.svc.cluster.local +short',
      /0 50 8080 cart-0\.cart\.shop\.svc\.cluster\.local\./,
    ],
    ['the name of one replica', '+short cart-1.cart.shop.svc.cluster.local', /^127\.244\.\d+\.\d+$/],
    [
      'a named port',
      'SRV _http._tcp.front.shop.svc.cluster.local +short',
      /0 100 80 front\.shop\.svc\.cluster\.local\./,
    ],
    ['an ExternalName', 'CNAME payments.shop.svc.cluster.local +short', /^payments\.example\.com\.$/],
    ['a name that does not exist', 'nothing.shop.svc.cluster.local', /status: NXDOMAIN/],
    ['the same over TCP', '+tcp +short front.shop.svc.cluster.local', /^127\.96\./],
  ])('dig: %s', (_name, args, expected) => {
    expect(sh(`dig @127.0.0.1 -p 10053 ${args}`)).toMatch(expected);
  });

  it('dig: the reverse name of a cluster IP', () => {
    expect(sh(`dig @127.0.0.1 -p 10053 -x ${vip()} +short`)).toBe('front.shop.svc.cluster.local.');
  });

  it('the cluster DNS address answers on port 53', () => {
    expect(sh('dig @127.96.0.10 +short front.shop.svc.cluster.local')).toBe(vip());
  });

  it('curl by cluster IP, node port and load balancer address', () => {
    expect(sh(`curl -s -m 5 http://${vip()}/`)).toContain('The shop');
    expect(sh('curl -s -m 5 http://127.0.0.1:30080/')).toContain('"servedBy":"admin-');
    const address = kubectl(
      '-n',
      'shop',
      'get',
      'svc',
      'chat',
      '-o',
      'jsonpath={.status.loadBalancer.ingress[0].ip}',
    );
    expect(sh(`curl -s -o /dev/null -w '%{http_code}' -m 5 http://${address}:8090/healthz`)).toBe('200');
  });

  it('spreads connections over the three replicas', () => {
    const script = `for i in $(seq 30); do curl -s -D - -o /dev/null -m 5 http://${vip()}/ ; done | grep -i '^x-served-by' | sort -u | wc -l`;
    expect(
      Number(sh(script)) === 3 ||
        sh(
          `for i in $(seq 30); do curl -s -m 5 http://${vip()}/; done | grep -o 'front-[a-z0-9]*-[a-z0-9]*' | sort -u | wc -l`,
        ) === '3',
    ).toBe(true);
  });

  it('curl through the ingress, plain redirects to TLS, hosts and paths are routed', () => {
    expect(sh('curl -sk -m 5 https://shop.localhost:8443/')).toContain('The shop');
    expect(sh('curl -s -o /dev/null -w "%{http_code}" -m 5 http://shop.localhost:8080/')).toBe('308');
    expect(sh('curl -sk -o /dev/null -w "%{http_code}" -m 5 https://other.localhost:8443/')).toBe('404');
    expect(sh('curl -sk -m 5 --http2 -o /dev/null -w "%{http_version}" https://shop.localhost:8443/')).toBe(
      '2',
    );
  });

  it('openssl gets the certificate of the name it asks for', () => {
    const subject = sh(
      'echo | openssl s_client -connect 127.0.0.1:8443 -servername chat.localhost 2>/dev/null | openssl x509 -noout -ext subjectAltName',
    );
    expect(subject).toContain('DNS:chat.localhost');
  });

  it('a WebSocket goes through the ingress', () => {
    const script = join(folder, 'socket.mjs');
    writeFileSync(script, WEBSOCKET);
    expect(host.run(process.execPath, [script]).stdout).toContain('hello weft');
  });

  it('prints five commands that work as pasted', () => {
    const [, tried = ''] = /^Try:\n((?: {2}.*\n)+)/m.exec(weft.output) ?? [];
    const env = { ...process.env, XDG_STATE_HOME: join(folder, 'state'), HOME: folder };
    mkdirSync(join(folder, 'state'), { recursive: true });
    if (!existsSync(join(folder, 'state/weft')))
      symlinkSync(join(folder, 'data'), join(folder, 'state/weft'));
    const outputs = tried
      .trimEnd()
      .split('\n')
      .map((line) => host.run('sh', ['-c', line.trim()], { env }).stdout);
    expect(outputs).toEqual([
      expect.stringMatching(/^127\.96\.\d+\.\d+\n(0 50 8080 cart-\d\S+\n){2}127\.244\.\d+\.\d+\n$/),
      expect.stringContaining('The shop'),
      expect.stringContaining('The shop'),
      expect.stringMatching(/^HTTP\/1\.1 101 [^]*welcome to chat-/),
      expect.stringMatching(
        /record .*127\.96\.[^]*mode userspace[^]*service\s+shop\/[^]*verdict\s+to one of/,
      ),
    ]);
  });

  it('traces a name through DNS and proxy, and a URL through the ingress', () => {
    const trace = (to: string): string =>
      sh(`${ROOT}bin/weft trace --kubeconfig ${join(folder, 'data/kubeconfig')} --to ${to}`);
    expect(trace('cart.shop:8080')).toMatch(/headless[^]*verdict/);
    expect(trace('http://front.shop.svc.cluster.local/')).toMatch(
      /NOERROR[^]*ready, on this node[^]*verdict/,
    );
    expect(trace('https://shop.localhost:8443/api')).toMatch(/shop\/api/);
    expect(trace('nothing.shop:80')).toContain('NXDOMAIN');
  });

  it('kubectl gets, creates, describes, applies and deletes', async () => {
    expect(kubectl('get', 'pods', '-n', 'shop')).toMatch(/cart-0\s+1\/1\s+Running/);
    expect(kubectl('describe', 'svc', 'front', '-n', 'shop')).toMatch(/Endpoints:\s+127\.244\.\d+\.\d+:8080/);
    const manifest = join(folder, 'more.yaml');
    writeFileSync(
      manifest,
      'apiVersion: v1\nkind: Service\nmetadata: {name: more}\nspec: {selector: {app: more}, ports: [{port: 80}]}\n',
    );
    expect(kubectl('create', '-f', manifest)).toContain('service/more created');
    expect(kubectl('apply', '-f', manifest)).toMatch(/service\/more (configured|unchanged)/);
    const address = kubectl('get', 'svc', 'more', '-o', 'jsonpath={.spec.clusterIP}');
    expect(
      await waitFor('the new name', () =>
        sh('dig @127.0.0.1 -p 10053 +short more.default.svc.cluster.local'),
      ),
    ).toBe(address);
    expect(kubectl('delete', 'svc', 'more')).toContain('service "more" deleted');
    expect(sh('dig @127.0.0.1 -p 10053 more.default.svc.cluster.local')).toContain('NXDOMAIN');
  });

  it('kubectl get -w sees changes', async () => {
    const watching = host.start(client('kubectl'), [
      '--kubeconfig',
      join(folder, 'data/kubeconfig'),
      '-n',
      'shop',
      'get',
      'svc',
      '-w',
      '--no-headers',
    ]);
    let seen = '';
    watching.stdout?.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    await waitFor('the list', () => seen.includes('front'));
    kubectl('-n', 'shop', 'create', 'service', 'clusterip', 'watched', '--tcp=80');
    await waitFor('the watch event', () => seen.includes('watched'));
    watching.kill();
    kubectl('-n', 'shop', 'delete', 'svc', 'watched');
  });

  it('refuses what does not validate with the API’s own message', () => {
    const manifest = join(folder, 'bad.yaml');
    writeFileSync(
      manifest,
      'apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 70000}]}\n',
    );
    expect(kubectl('create', '-f', manifest)).toContain(
      'spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive',
    );
  });

  it('after kill -9 the next start finds everything and adopts the pods', async () => {
    const before = kubectl(
      'get',
      'pods',
      '-n',
      'shop',
      '-o',
      'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount} {end}',
    );
    await weft.stop('SIGKILL');
    weft = up();
    await weft.ready();
    await waitFor('the front', () => sh(`curl -s -m 2 http://${vip()}/`).includes('The shop'));
    const after = kubectl(
      'get',
      'pods',
      '-n',
      'shop',
      '-o',
      'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount} {end}',
    );
    expect(after).toBe(before);
  });

  it('SIGTERM drains and leaves nothing behind', async () => {
    expect(await weft.stop()).toBe(0);
    expect(host.processes()).toEqual([]);
    expect(host.run('ss', ['-Hlntu']).stdout).toBe('');
    expect(sh('ip -o addr show dev lo | grep -c 127.96')).toBe('0');
  });
});

if (!able)
  it('weft up with the shop needs network namespaces', (ctx) => ctx.skip('needs root and unshare -n'));
