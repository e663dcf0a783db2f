import { execFile, spawn, spawnSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { dnsEngines } from '../../../dns/server/engine.ts';
import { frame } from '../../../dns/server/framing.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { namespace, service, slice } from '../../support/kube-objects.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { ROOT } from '../../support/source-files.ts';
import { missingTools } from '../../support/system-tools.ts';
import { waitFor } from '../../support/wait-for.ts';
import { TestCertificate } from '../support/certificate.ts';
import { clusterOf } from '../support/cluster.ts';
import { decoded, openServer, questionOf, type TestServer } from '../support/server.ts';
import { askStream, askUdp, type Target } from '../support/wire-client.ts';

/** Programs and libraries that others wrote, on every transport they speak. */
const run = promisify(execFile);
const PATIENCE_MS = 60_000;

const OBJECTS = [
  namespace('ns'),
  service('ns/web', { clusterIP: '10.96.0.1' }),
  service('ns/all', { clusterIP: 'None' }),
  slice('ns/all-1', 'all', {
    ports: { http: 80 },
    endpoints: Array.from({ length: 300 }, (_, i) => ({ ip: `10.0.${i >> 8}.${i & 255}` })),
  }),
];

const certificate = new TestCertificate();
let on: TestServer;
/** The same by the native engine. */
let native: TestServer;
let ports: Record<string, string>;

beforeAll(async () => {
  const tls = `tls ${certificate.certFile} ${certificate.keyFile}`;
  const corefile = `.:0 tls://.:0 https://.:0 {\n${tls}\nkubernetes k\ntransfer {\nto *\n}\nloadbalance\n}`;
  on = await openServer(corefile, { cluster: clusterOf(OBJECTS) });
  const engines = dnsEngines('native', { clock: systemClock, log: silentLogger }, { receivers: 1 });
  native = await openServer(corefile, { cluster: clusterOf(OBJECTS), ...engines });
  const portsOf = ({ server }: TestServer, prefix: string): [string, string][] =>
    server.addresses.map(({ transport, port }) => [`${prefix}${transport}`, String(port)]);
  ports = Object.fromEntries([...portsOf(on, ''), ...portsOf(native, 'native ')]);
});
afterAll(async () => {
  await on[Symbol.asyncDispose]();
  await native[Symbol.asyncDispose]();
  certificate[Symbol.dispose]();
});

const MISSING = missingTools();

function needs(ctx: TestContext, tool: string): void {
  if (MISSING.includes(tool)) ctx.skip(`${tool} is not installed`);
}

async function said(program: string, args: readonly string[]): Promise<string[]> {
  const { stdout } = await run(program, args, { timeout: PATIENCE_MS });
  return stdout.trim().split('\n');
}

describe('dig', { timeout: 2 * PATIENCE_MS }, () => {
  beforeEach((ctx) => needs(ctx, 'dig'));

  const dig = (port: string, ...args: string[]): Promise<string[]> =>
    said('dig', ['@127.0.0.1', '-p', port, '+tries=1', '+time=20', ...args]);

  it.each([[['+notcp']], [['+tcp']], [['+noedns']], [['+nocookie']], [['+dnssec']]])('%j', async (flags) => {
    expect(await dig(ports['udp']!, ...flags, '+short', 'web.ns.svc.k')).toEqual(['10.96.0.1']);
  });

  it.each([
    ['tls', ['+tls']],
    ['native tls', ['+tls']],
    ['native tls', ['+tls-hostname=localhost', `+tls-ca=${certificate.certFile}`]],
    ['https', ['+https']],
    ['https', ['+https-get']],
  ])('over %s with %j', async (transport, flags) => {
    expect(await dig(ports[transport]!, ...flags, '+short', 'web.ns.svc.k')).toEqual(['10.96.0.1']);
  });

  it('gets a big answer whole after TC', async () => {
    expect(await dig(ports['udp']!, '+short', 'all.ns.svc.k')).toHaveLength(300);
    const cut = await dig(ports['udp']!, '+ignore', '+noall', '+comments', 'all.ns.svc.k');
    expect(cut.join('\n')).toMatch(/flags: qr aa tc/);
  });

  it('transfers the zone', async () => {
    const lines = await dig(ports['tcp']!, '+noall', '+answer', 'k', 'AXFR');
    expect(lines[0]).toMatch(/IN\s+SOA/);
    expect(lines.at(-1)).toMatch(/IN\s+SOA/);
    expect(lines.some((line) => /^web\.ns\.svc\.k\.\s+5\s+IN\s+A\s+10\.96\.0\.1$/.test(line))).toBe(true);
    expect(lines.filter((line) => /^all\.ns\.svc\.k\.\s.*\sA\s/.test(line))).toHaveLength(300);
  });

  it('shows why', async () => {
    const lines = await dig(ports['udp']!, 'www.example.org');
    expect(lines.join('\n')).toMatch(/SERVFAIL[\s\S]*EDE: /);
  });
});

describe('kdig', { timeout: 2 * PATIENCE_MS }, () => {
  beforeEach((ctx) => needs(ctx, 'kdig'));

  it.each([
    ['udp', []],
    ['tcp', ['+tcp', '+keepopen']],
    ['tls', ['+tls']],
    ['native tls', ['+tls']],
    ['native tls', ['+tls-hostname=localhost', `+tls-ca=${certificate.certFile}`, '+keepopen']],
    ['https', ['+https']],
    ['https', ['+https-get']],
  ])('over %s with %j', async (transport, flags) => {
    const args = ['@127.0.0.1', '-p', ports[transport]!, '+short', '+retry=0', '+timeout=20', ...flags];
    expect(await said('kdig', [...args, 'web.ns.svc.k'])).toEqual(['10.96.0.1']);
  });
});

describe('openssl s_client', { timeout: 2 * PATIENCE_MS }, () => {
  beforeEach((ctx) => needs(ctx, 'openssl'));

  it.each([
    ['tls', '-tls1_2'],
    ['tls', '-tls1_3'],
    ['native tls', '-tls1_2'],
    ['native tls', '-tls1_3'],
  ])('is met over %s by %s, and may not renegotiate', async (transport, version) => {
    const at = `s_client -connect 127.0.0.1:${ports[transport]} -alpn dot -servername localhost ${version}`;
    const child = run('openssl', [...at.split(' '), '-CAfile', certificate.certFile], {
      timeout: PATIENCE_MS,
    });
    child.child.stdin?.end('R\n');
    const { stdout, stderr } = await child.catch((error: { stdout: string; stderr: string }) => error);
    expect(stdout).toContain('ALPN protocol: dot');
    expect(stdout).toContain('Verify return code: 0 (ok)');
    if (version === '-tls1_2') expect(stderr).toMatch(/RENEGOTIATING[\s\S]*no renegotiation/);
  });
});

describe('dns2', { timeout: 2 * PATIENCE_MS }, () => {
  it.each([
    ['UDPClient', () => ({ dns: '127.0.0.1', port: Number(ports['udp']) })],
    ['TCPClient', () => ({ dns: '127.0.0.1', port: Number(ports['tcp']) })],
    ['DOHClient', () => ({ dns: `h2://localhost:${ports['https']}/dns-query` })],
  ])('%s', async (client, options) => {
    const program = `
      import dns2 from 'dns2';
      const ask = dns2.${client}(${JSON.stringify(options())});
      const { answers } = await ask('web.ns.svc.k', 'A');
      console.log(answers.map(({ address }) => address).join());
      process.exit(0);`;
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificate.certFile };
    const args = ['--input-type=module', '-e', program];
    const { stdout } = await run(process.execPath, args, { cwd: ROOT, env, timeout: PATIENCE_MS });
    expect(stdout.trim()).toBe('10.96.0.1');
  });
});

/** `weft dns` on a free port of loopback. */
async function withWeft<T>(
  flags: (folder: string) => readonly string[],
  use: (target: Target) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-dns-'));
  const weft = spawn(join(ROOT, 'bin/weft'), ['dns', ...flags(folder)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    let output = '';
    weft.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await waitFor('weft dns', () => /^ready$/m.test(output), PATIENCE_MS);
    return await use({ address: '127.0.0.1', port: Number(/dns tcp 127\.0\.0\.1:(\d+)/.exec(output)![1]) });
  } finally {
    weft.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

function written(folder: string, name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const CONNECTIONS = 10_000;

/** Whether this process and its children may have so many files open; asks the kernel for more where it may. */
function mayOpen(files: number): boolean {
  const allowed = (): number =>
    Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
  if (allowed() >= files) return true;
  spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${files}:${files}`]);
  return allowed() >= files;
}

describe('weft dns', { timeout: 4 * PATIENCE_MS }, () => {
  const question = encodeMessage(questionOf('web.ns.svc.k.'));

  it('holds 10,000 idle connections, answers on each of them and everybody else', async (ctx) => {
    if (!mayOpen(CONNECTIONS + 2000))
      ctx.skip('the hard limit of open files is too low, and may not be raised');
    const flags = (folder: string): string[] => [
      '--conf',
      written(folder, 'Corefile', '.:0 {\n bind 127.0.0.1\n timeouts {\n  idle 1h\n }\n kubernetes k\n}'),
      '--from',
      written(folder, 'objects.json', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: OBJECTS })),
    ];
    await withWeft(flags, async (target) => {
      const sockets: Socket[] = [];
      let lost = 0;
      while (sockets.length < CONNECTIONS) {
        const some = Array.from({ length: 200 }, () => connect(target.port, '127.0.0.1'));
        sockets.push(...some);
        for (const socket of some) socket.on('close', () => lost++);
        await Promise.all(some.map((socket) => new Promise((ok) => socket.once('connect', ok))));
      }
      expect(decoded(await askUdp(target, question)).answers).toHaveLength(1);
      const [reply] = await askStream(target, question);
      expect(decoded(reply!).answers).toHaveLength(1);
      for (const socket of sockets.filter((_, i) => i % 100 === 0)) {
        const answered = new Promise<void>((ok) => socket.once('data', () => ok()));
        socket.write(frame(question));
        await answered;
      }
      expect(lost).toBe(0);
      for (const socket of sockets) socket.destroy();
    });
  });

  it('starts from the table of its last run while no API server answers', async () => {
    let corefile = '';
    const flags = (folder: string): string[] => {
      corefile = `.:0 {\n bind 127.0.0.1\n kubernetes k {\n snapshot ${join(folder, 'table')}\n}\n}`;
      const cluster = { server: 'https://127.0.0.1:9' }; // discard: nobody listens
      const config = {
        clusters: [{ name: 'c', cluster }],
        users: [{ name: 'u', user: { token: 't' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      };
      return [
        '--conf',
        written(folder, 'Corefile', corefile),
        '--kubeconfig',
        written(folder, 'kubeconfig', JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...config })),
      ];
    };
    const prepared = async (): Promise<Buffer> => {
      const folder = mkdtempSync(join(tmpdir(), 'weft-dns-'));
      flags(folder);
      await using _earlier = await openServer(corefile, { cluster: clusterOf(OBJECTS) });
      await waitFor('the table', () => existsSync(join(folder, 'table')), PATIENCE_MS);
      const table = readFileSync(join(folder, 'table'));
      rmSync(folder, { recursive: true });
      return table;
    };
    const table = await prepared();
    const withTable = (folder: string): string[] => {
      writeFileSync(join(folder, 'table'), table);
      return flags(folder);
    };
    await withWeft(withTable, async (target) => {
      expect(decoded(await askUdp(target, question)).answers).toHaveLength(1);
      const unknown = encodeMessage(questionOf('new.ns.svc.k.'));
      expect(decoded(await askUdp(target, unknown)).rcode).toBe('SERVFAIL');
    });
  });
});
