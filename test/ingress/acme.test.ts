import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { client } from '../support/kubectl.ts';
import { canMakeNamespaces } from '../support/own-network.ts';
import { waitFor } from '../support/wait-for.ts';
import { classYaml, Edge, serviceYaml } from './support/edge.ts';

/** Let's Encrypt's test server (Debian package `pebble`) proves names against the real program on ports 80 and 443. */
const missing = canMakeNamespaces()
  ? ['pebble', 'pebble-challtestsrv'].filter((tool) => spawnSync('which', [tool]).status !== 0).join(', ')
  : 'network namespaces need root';
const LONG_MS = 60_000;
/** An order that fails is repeated after a minute. */
const ORDER_MS = 150_000;
const VALID_SECONDS = 15;

let edge: Edge | undefined;
afterEach(async () => {
  await edge?.[Symbol.asyncDispose]();
  edge = undefined;
});

/** A CA in the edge's network, whose own certificate is in ca.pem; it refuses every other nonce. */
async function startCa(on: Edge): Promise<string[]> {
  const args = 'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'.split(' ');
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const [ca, key] = [`${on.folder}/ca.pem`, `${on.folder}/ca-key.pem`];
  on.network.run('openssl', [...args, ...names, '-keyout', key, '-out', ca]);
  const config = on.file(
    'pebble.conf',
    JSON.stringify({
      pebble: {
        listenAddress: '127.0.0.1:14000',
        managementListenAddress: '127.0.0.1:15000',
        certificate: ca,
        privateKey: key,
        httpPort: 80,
        tlsPort: 443,
        ocspResponderURL: '',
        certificateValidityPeriod: VALID_SECONDS,
      },
    }),
  );
  const none = ['-http01', '', '-https01', '', '-tlsalpn01', ''];
  const dns = ['-defaultIPv6', '', '-defaultIPv4', '127.0.0.1', '-dns01', '127.0.0.1:8053'];
  on.run('pebble-challtestsrv', [...none, ...dns, '-management', '127.0.0.1:8055']);
  on.run('pebble', ['-config', config, '-dnsserver', '127.0.0.1:8053'], {
    PEBBLE_VA_NOSLEEP: '1',
    PEBBLE_WFE_NONCEREJECT: '50',
  });
  await waitFor('the CA', () => on.curl('https://127.0.0.1:14000/dir').status === 200, LONG_MS);
  return [
    '--acme-directory',
    'https://127.0.0.1:14000/dir',
    '--acme-ca',
    ca,
    '--acme-email',
    'ops@shop.test',
  ];
}

const INGRESS = (name: string, hosts: readonly string[], secret: string): string =>
  `---\n${JSON.stringify({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name, namespace: 'default', annotations: { 'kubernetes.io/tls-acme': 'true' } },
    spec: {
      ingressClassName: 'nginx',
      tls: [{ hosts, secretName: secret }],
      rules: hosts.map((host) => ({
        host,
        http: {
          paths: [
            { path: '/', pathType: 'Prefix', backend: { service: { name: 'red', port: { number: 80 } } } },
          ],
        },
      })),
    },
  })}\n`;

interface Shown {
  readonly issuer: string;
  readonly names: string;
  readonly serial: string;
}

/** The certificate that is served for a name. */
function shownFor(on: Edge, name: string): Shown {
  const script = `openssl s_client -connect 127.0.0.1:443 -servername ${name} </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial -ext subjectAltName`;
  const { stdout } = on.network.run('sh', ['-c', script]);
  return {
    issuer: /issuer=(.*)/.exec(stdout)?.[1] ?? '',
    names: /DNS:.*/.exec(stdout)?.[0] ?? '',
    serial: /serial=(.*)/.exec(stdout)?.[1] ?? '',
  };
}

const issued = (on: Edge, name: string): Promise<Shown> =>
  waitFor(
    `a certificate of the CA for ${name}`,
    () => {
      const shown = shownFor(on, name);
      return shown.issuer.includes('Pebble') && shown;
    },
    ORDER_MS,
  );

describe.runIf(missing === '')('certificates from an ACME CA', () => {
  it.each(['http-01', 'tls-alpn-01'])(
    'are issued by %s, kept in a folder, and renewed',
    async (challenge) => {
      edge = new Edge('ing-acme');
      await edge.backends('red,127.0.0.1,8001');
      const ca = await startCa(edge);
      edge.file(
        'objects.yaml',
        classYaml +
          serviceYaml('red', [['127.0.0.1', 8001]]) +
          INGRESS('web', ['a.shop.test', 'b.shop.test'], 'web'),
      );
      const keys = `${edge.folder}/keys`;
      const args = [
        'ingress',
        '--from',
        `${edge.folder}/objects.yaml`,
        ...ca,
        '--acme-folder',
        keys,
        '--acme-challenge',
        challenge,
      ];
      const first = await edge.weft(args);
      const shown = await issued(edge, 'a.shop.test');
      expect(shown.names).toBe('DNS:a.shop.test, DNS:b.shop.test');
      expect(shownFor(edge, 'b.shop.test').serial).toBe(shown.serial);
      expect(readdirSync(keys).sort()).toEqual(['default.web.json', 'default.weft-acme-account.json']);
      await first.stop();
      // another process takes the same account and certificate, and renews in time
      await edge.weft(args);
      expect(shownFor(edge, 'a.shop.test').issuer).toContain('Pebble');
      const on = edge;
      await waitFor('the renewal', () => shownFor(on, 'a.shop.test').serial !== shown.serial, ORDER_MS);
      expect((await issued(edge, 'a.shop.test')).names).toBe(shown.names);
    },
    300_000,
  );

  it('are Secrets of the API server, with account and orders', async () => {
    edge = new Edge('ing-acme');
    const { folder, network } = edge;
    await edge.backends('red,127.0.0.1,8001');
    const ca = await startCa(edge);
    const config = `${folder}/admin.conf`;
    const server = [
      'server',
      '--store',
      'memory:',
      '--data-dir',
      `${folder}/data`,
      '--api-listen',
      '127.0.0.1:6443',
    ];
    await edge.weft([...server, '--kubeconfig-out', config]);
    const kubectl = (...args: string[]): string => {
      const { stdout, stderr } = network.run(client('kubectl'), ['--kubeconfig', config, ...args], {
        env: { ...process.env, HOME: folder },
      });
      return stdout + stderr;
    };
    await waitFor('the default namespace', () => kubectl('get', 'ns').includes('default'), LONG_MS);
    // one name cannot be proved: it must not hold up the other
    const objects =
      classYaml +
      serviceYaml('red', [['127.0.0.1', 8001]]) +
      INGRESS('bad', ['bad_name.test'], 'bad') +
      INGRESS('web', ['c.shop.test'], 'web');
    kubectl('apply', '-f', edge.file('objects.yaml', objects));
    await edge.weft(['ingress', '--kubeconfig', config, '--access-log', 'off', ...ca]);
    expect((await issued(edge, 'c.shop.test')).names).toBe('DNS:c.shop.test');
    const secrets = await waitFor(
      'the order to be removed',
      () => {
        const names = kubectl('get', 'secrets', '-o', 'name').split('\n');
        return !names.some((name) => name.includes('weft-acme-order')) && names;
      },
      LONG_MS,
    );
    expect(secrets).toContain('secret/weft-acme-account');
    expect(secrets).toContain('secret/web');
    expect(kubectl('get', 'secret', 'web', '-o', 'jsonpath={.type}')).toBe('kubernetes.io/tls');
  }, 300_000);
});

it('needs the ACME test server', (ctx) => {
  if (missing !== '') ctx.skip(`missing: ${missing}`);
});
