import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../support/source-files.ts';
import { Lan } from '../support/lan.ts';
import { canMakeNamespaces, type OwnNetwork } from '../support/own-network.ts';
import { missingTools } from '../support/system-tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';
import { get, startWeb, untilGot, web } from './cluster.ts';

const VIP = '10.96.7.7';
const DEADLINE_MS = 300_000;

/** A host with a web server behind a service that a manifest file describes. */
class Host implements Disposable {
  readonly lan: Lan;
  readonly alpha: OwnNetwork;
  readonly folder = mkdtempSync(join(tmpdir(), 'weft-kernel-'));

  constructor(purpose: string) {
    this.lan = new Lan(purpose);
    this.alpha = this.lan.host('alpha', '192.0.2.11/24', 'fd00::11/64');
    const beta = this.lan.host('beta', '192.0.2.12/24');
    startWeb(beta, '192.0.2.12', 'beta');
    const items = web('web', VIP, ['192.0.2.12'], {
      type: 'NodePort',
      ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30_080, protocol: 'TCP' }],
    });
    writeFileSync(this.manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  }

  get manifest(): string {
    return join(this.folder, 'web.json');
  }

  /** KubeProxyConfiguration with short sync periods. */
  configure(mode: string): string {
    const path = join(this.folder, 'config.yaml');
    const periods = { syncPeriod: '2s', minSyncPeriod: '100ms' };
    const config = {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode,
      hostnameOverride: 'alpha',
      iptables: periods,
      nftables: periods,
      ipvs: periods,
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  start(mode: string, ...flags: readonly string[]): WeftProcess {
    const args = ['proxy', '--from', this.manifest, '--config', this.configure(mode), ...flags];
    return new WeftProcess(this.alpha, args, { ...process.env, WEFT_LOG_LEVEL: 'info' });
  }

  weft(...args: readonly string[]): string {
    const { status, stdout, stderr } = this.alpha.run(`${ROOT}bin/weft`, args, { timeoutMs: 60_000 });
    expect(status, stderr).toBe(0);
    return stdout;
  }

  /** All rules of the kernel, without counters. */
  rules(): string {
    const nft = this.alpha.run('nft', ['-s', 'list', 'ruleset']).stdout;
    return nft.replaceAll(/ handle \d+/g, '');
  }

  [Symbol.dispose](): void {
    this.lan[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function needed(...tools: readonly string[]): string | undefined {
  if (!canMakeNamespaces()) return 'network namespaces need root';
  const missing = missingTools().filter((tool) => tools.includes(tool));
  return missing.length > 0 ? `missing: ${missing.join(', ')}` : undefined;
}

describe.each(['nftables', 'iptables'])('weft proxy in mode %s', (mode) => {
  test(
    '--once writes and leaves, --cleanup removes all, --render touches nothing',
    (context) => {
      const reason = needed('ip', 'curl', 'nft', 'iptables');
      if (reason !== undefined) context.skip(reason);
      using host = new Host(`km-once-${mode.slice(0, 2)}`);
      const flags = ['--from', host.manifest, '--proxy-mode', mode, '--hostname-override', 'alpha'];
      expect(host.weft('proxy', ...flags, '--render')).toContain('192.0.2.12');
      expect(host.rules()).toBe('');
      host.weft('proxy', ...flags, '--once');
      expect(get(host.alpha, `http://${VIP}/`)).toBe('beta');
      const written = host.rules();
      host.weft('proxy', ...flags, '--once');
      expect(host.rules().length).toBe(written.length);
      expect(host.weft('proxy', '--cleanup')).toContain('removed the rules of every mode');
      // iptables keeps its own empty chains
      expect(host.rules()).not.toMatch(/KUBE|weft|10\.96\.7\.7|192\.0\.2\.12/);
      expect(get(host.alpha, `http://${VIP}/`)).toMatch(/^\(/);
    },
    DEADLINE_MS,
  );

  test(
    'rules that somebody else removed are written again at the next sync',
    async (context) => {
      const reason = needed('ip', 'curl', 'nft', 'iptables');
      if (reason !== undefined) context.skip(reason);
      using host = new Host(`km-flush-${mode.slice(0, 2)}`);
      await using proxy = host.start(mode);
      await proxy.ready();
      await untilGot(host.alpha, `http://${VIP}/`, 'beta');
      expect(host.alpha.run('nft', ['flush', 'ruleset']).status).toBe(0);
      await untilGot(host.alpha, `http://${VIP}/`, 'beta');
      expect(await proxy.stop()).toBe(0);
      expect(get(host.alpha, `http://${VIP}/`)).toBe('beta');
    },
    DEADLINE_MS,
  );
});

test(
  'kernel modes switch on a live node without a failed connection; sockets take over and give back',
  async (context) => {
    const reason = needed('ip', 'curl', 'nft', 'iptables');
    if (reason !== undefined) context.skip(reason);
    using host = new Host('km-switch');
    await using proxy = host.start('iptables');
    await proxy.ready();
    await untilGot(host.alpha, `http://${VIP}/`, 'beta');
    const load = { over: false, done: 0 };
    const failures: string[] = [];
    const client = async (): Promise<void> => {
      while (!load.over) {
        const curl = host.alpha.start('curl', ['-s', '-m', '5', `http://${VIP}/`]);
        let text = '';
        curl.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
        const code = await new Promise((resolve) => curl.on('close', resolve));
        if (text !== 'beta') failures.push(`${String(code)}: ${text}`);
        load.done++;
      }
    };
    const loading = Promise.all([client(), client(), client()]);
    const inForce = (): string => get(host.alpha, 'http://127.0.0.1:10249/proxyMode');
    for (const mode of ['nftables', 'iptables', 'nftables', 'iptables']) {
      host.configure(mode);
      proxy.child.kill('SIGHUP');
      await waitFor(`mode ${mode}`, () => inForce() === mode, 30_000);
      const before = load.done;
      await waitFor('more requests', () => load.done > before + 10, 30_000);
    }
    load.over = true;
    await loading;
    expect(failures).toEqual([]);
    // what the mode before it wrote is gone
    expect(host.rules()).not.toMatch(/table ip6? weft/);
    const routes = (): string =>
      host.alpha.run('ip', ['route', 'show', 'table', 'local', 'proto', '151']).stdout.trim();
    for (const mode of ['userspace', 'iptables']) {
      host.configure(mode);
      proxy.child.kill('SIGHUP');
      await waitFor(`mode ${mode}`, () => inForce() === mode, 30_000);
      await untilGot(host.alpha, `http://${VIP}/`, 'beta');
      expect(host.rules().includes('KUBE-SVC')).toBe(mode === 'iptables');
      await waitFor('its routes alone', () => (routes() !== '') === (mode === 'userspace'), 30_000);
    }
  },
  DEADLINE_MS,
);

/** One connection that asks again and again: a line for each answer, another one when it breaks. */
const ASKS_ON = `
const socket = require('net').connect(80, '${VIP}');
const ask = () => socket.write('GET / HTTP/1.1\\r\\nHost: web\\r\\n\\r\\n');
socket.on('connect', ask).on('data', () => { console.log('answer'); setTimeout(ask, 100); });
socket.on('error', (error) => console.log(error.code)).on('close', () => console.log('closed'));
socket.setTimeout(20000, () => { console.log('silence'); socket.destroy(); });`;

test(
  'a connection under way outlives the change from nftables to captured userspace and back',
  async (context) => {
    const reason = needed('ip', 'curl', 'nft');
    if (reason !== undefined) context.skip(reason);
    using host = new Host('km-flows');
    await using proxy = host.start('nftables', '--userspace-capture', 'redirect');
    await proxy.ready();
    await untilGot(host.alpha, `http://${VIP}/`, 'beta');
    const lines: string[] = [];
    const client = host.alpha.start(process.execPath, ['-e', ASKS_ON]);
    client.stdout?.on('data', (chunk: Buffer) => lines.push(...chunk.toString().trim().split('\n')));
    const more = async (): Promise<void> => {
      const before = lines.length;
      await waitFor('more lines', () => lines.length > before + 5 || lines.includes('closed'), 60_000);
      expect(new Set(lines)).toEqual(new Set(['answer']));
    };
    await more();
    for (const mode of ['userspace', 'nftables']) {
      host.configure(mode);
      proxy.child.kill('SIGHUP');
      const inForce = (): string => get(host.alpha, 'http://127.0.0.1:10249/proxyMode');
      await waitFor(`mode ${mode}`, () => inForce() === mode, 30_000);
      await untilGot(host.alpha, `http://${VIP}/`, 'beta');
      await more();
    }
    client.kill();
  },
  DEADLINE_MS,
);

test.for(['native', 'portable'])(
  'mode userspace captures service addresses by redirection to one listener, engine %s',
  { timeout: DEADLINE_MS },
  async (engine, context) => {
    const reason = needed('ip', 'curl', 'nft');
    if (reason !== undefined) context.skip(reason);
    using host = new Host('km-capture');
    const items = [
      ...web('web', VIP, ['192.0.2.12']),
      ...web('none', '10.96.7.9', []),
      ...web('six', 'fd00:96::7', []).slice(0, 1),
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: 'six-1',
          namespace: 'default',
          labels: { 'kubernetes.io/service-name': 'six' },
        },
        addressType: 'IPv6',
        ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
        endpoints: [{ addresses: ['fd00::11'], conditions: { ready: true } }],
      },
    ];
    startWeb(host.alpha, 'fd00::11', 'six');
    writeFileSync(host.manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const capture = ['--userspace-capture', 'redirect', '--engine', engine];
    const flags = ['--config', host.configure('userspace'), ...capture];
    await using proxy = new WeftProcess(host.alpha, ['proxy', '--from', host.manifest, ...flags]);
    await proxy.ready();
    await untilGot(host.alpha, `http://${VIP}/`, 'beta');
    host.alpha.run('ip', ['-6', 'route', 'add', 'fd00:96::/112', 'dev', 'eth0']);
    await untilGot(host.alpha, 'http://[fd00:96::7]/', 'six');
    const client = host.lan.host('client', '192.0.2.20/24');
    client.run('ip', ['route', 'add', '10.96.0.0/12', 'via', '192.0.2.11']);
    await untilGot(client, `http://${VIP}/`, 'beta');
    expect(get(client, 'http://10.96.7.9/')).toMatch(/^\((7|56)\)$/); // refused, not lost
    // no service address became the host's own
    expect(host.alpha.run('ip', ['route', 'show', 'table', 'local', 'proto', '151']).stdout).toBe('');
    const listening = host.alpha.run('ss', ['-Hltn']).stdout;
    expect(listening).not.toContain(VIP);
    expect(host.alpha.run('nft', ['flush', 'ruleset']).status).toBe(0);
    await untilGot(client, `http://${VIP}/`, 'beta');
    writeFileSync(host.manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: items.slice(2) }));
    await waitFor('the service to go', () => get(host.alpha, `http://${VIP}/`).startsWith('('), 30_000);
    expect(await proxy.stop()).toBe(0);
    expect(host.rules()).toBe('');
  },
);
