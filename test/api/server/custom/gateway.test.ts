import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { client } from '../../../support/kubectl.ts';
import { ROOT } from '../../../support/source-files.ts';
import { openTestServer, type TestServer } from '../support.ts';

const CLASS = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: weft }
spec: { controllerName: weft.example/gateway }
`;
const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: front }
spec:
  gatewayClassName: weft
  listeners: [{ name: http, port: 80, protocol: HTTP }, { name: https, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert }] } }]
`;
const ROUTE = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop }
spec:
  parentRefs: [{ name: front }]
  hostnames: [shop.example.com, www.example.com]
  rules: [{ backendRefs: [{ name: shop, port: 80 }] }]
`;

describe("Gateway API's kinds with kubectl", () => {
  let server: TestServer;
  let home: string;
  beforeAll(async () => {
    server = await openTestServer({ listen: { host: '127.0.0.1', port: 0 } });
    home = await mkdtemp(join(tmpdir(), 'weft-gateway-'));
    await writeFile(join(home, 'config'), server.server.adminKubeconfig);
    const { out } = await kubectl(`apply -f ${ROOT}test/cases/gateway-api.yaml`);
    expect(out.match(/created/g)).toHaveLength(3);
    await kubectl('wait --for=condition=Established crd --all --timeout=20s');
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(home, { recursive: true });
  });

  async function kubectl(args: string, input = ''): Promise<{ code: number | null; out: string }> {
    const child = spawn(client('kubectl'), args.split(' '), {
      env: { PATH: '/usr/bin:/bin', HOME: home, KUBECONFIG: join(home, 'config') },
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stdin.end(input);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, out };
  }

  it('applies, prints, explains and deletes them', async () => {
    const { out, code } = await kubectl('apply -f -', [CLASS, GATEWAY, ROUTE].join('---'));
    expect([code, out]).toEqual([
      0,
      expect.stringContaining('httproute.gateway.networking.k8s.io/shop created'),
    ]);
    expect((await kubectl('get gc')).out).toMatch(
      /NAME +CONTROLLER +ACCEPTED +AGE\nweft +weft.example\/gateway +\S* +\d+s/,
    );
    expect((await kubectl('get gtw,httproute')).out).toMatch(/front +weft +\d+s[\s\S]*shop.example.com/);
    expect((await kubectl('get gateways.v1beta1.gateway.networking.k8s.io front -o name')).code).toBe(0);
    expect((await kubectl('explain gateway.spec.listeners.port')).out).toContain('FIELD: port <integer>');
    const again = await kubectl('apply -f -', ROUTE.replace('port: 80', 'port: 81'));
    expect(again.out).toContain('configured');
    const server = await kubectl('apply --server-side --force-conflicts --field-manager=other -f -', GATEWAY);
    expect(server.out).toContain('front serverside-applied');
    expect((await kubectl('delete httproute shop')).out).toContain('deleted');
  });

  it('fills defaults', async () => {
    const { body } = await server.call('POST', `${ROUTES}?dryRun=All`, {
      ...route,
      spec: { parentRefs: [{ name: 'front' }] },
    });
    expect(body.spec.parentRefs[0]).toEqual({
      group: 'gateway.networking.k8s.io',
      kind: 'Gateway',
      name: 'front',
    });
    expect(body.spec.rules).toEqual([{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }]);
  });

  const listener = { name: 'http', port: 80, protocol: 'HTTP' };
  const gateway = (spec: object): object => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'x' },
    spec: { gatewayClassName: 'weft', ...spec },
  });
  const GATEWAYS = '/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways';
  const ROUTES = '/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes';
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'x' },
  };
  const rule = (one: object): object => ({ ...route, spec: { rules: [one] } });

  const refused: readonly (readonly [name: string, path: string, body: object, text: string])[] = [
    [
      'no listeners',
      GATEWAYS,
      gateway({ listeners: [] }),
      'spec.listeners in body should have at least 1 items',
    ],
    [
      'a port out of range',
      GATEWAYS,
      gateway({ listeners: [{ ...listener, port: 0 }] }),
      'should be greater than or equal to 1',
    ],
    [
      'TLS on HTTP',
      GATEWAYS,
      gateway({ listeners: [{ ...listener, tls: { mode: 'Passthrough' } }] }),
      "spec.listeners: Invalid value: \"array\": tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
    ],
    [
      'no certificate',
      GATEWAYS,
      gateway({ listeners: [{ ...listener, protocol: 'TLS', tls: {} }] }),
      'spec.listeners[0].tls: Invalid value: "object": certificateRefs must be specified',
    ],
    [
      'two listeners alike',
      GATEWAYS,
      gateway({ listeners: [listener, { ...listener, name: 'b' }] }),
      'must be unique for each listener',
    ],
    [
      'an address that is none',
      GATEWAYS,
      gateway({ listeners: [listener], addresses: [{ value: 'x' }] }),
      '(oneOf). Found none valid',
    ],
    [
      'a relative path',
      ROUTES,
      rule({ matches: [{ path: { value: 'x' } }] }),
      'spec.rules[0].matches[0].path: Invalid value: "object": value must be an absolute path',
    ],
    [
      'a service without port',
      ROUTES,
      rule({ backendRefs: [{ name: 'x' }] }),
      'Must have port for Service reference',
    ],
    [
      'a redirect without details',
      ROUTES,
      rule({ filters: [{ type: 'RequestRedirect' }] }),
      'filter.requestRedirect must be specified',
    ],
    [
      'redirect and rewrite',
      ROUTES,
      rule({ filters: [{ type: 'RequestRedirect', requestRedirect: {} }, { type: 'URLRewrite' }] }),
      'but not both',
    ],
  ];
  it.each(refused)('refuses %s', async (_name, path, body, text) => {
    const reply = await server.call('POST', path, body);
    expect(reply.status).toBe(422);
    expect(reply.body.message).toContain(text);
  });

  it('refuses to change what is immutable', async () => {
    await kubectl('apply -f -', CLASS);
    const { code, out } = await kubectl(
      'apply -f -',
      CLASS.replace('weft.example/gateway', 'other.example/x'),
    );
    expect(code).toBe(1);
    expect(out).toContain('spec.controllerName: Invalid value: "string": Value is immutable');
  });
});
