import { describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { get, untilGot } from './cluster.ts';
import { hostLacks } from '../support/host-lacks.ts';
import { ProxyHost, VIP } from './support/proxy-host.ts';

const DEADLINE_MS = 300_000;

describe.each(['nftables', 'iptables'])('weft proxy in mode %s', (mode) => {
  test(
    '--once writes and leaves, --cleanup removes all, --render touches nothing',
    (context) => {
      const reason = hostLacks('ip', 'curl', 'nft', 'iptables');
      if (reason !== undefined) context.skip(reason);
      using host = new ProxyHost(`km-once-${mode.slice(0, 2)}`);
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
      const reason = hostLacks('ip', 'curl', 'nft', 'iptables');
      if (reason !== undefined) context.skip(reason);
      using host = new ProxyHost(`km-flush-${mode.slice(0, 2)}`);
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
  'a process started in another mode than the one killed before it removes what that one wrote',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft', 'iptables');
    if (reason !== undefined) context.skip(reason);
    using host = new ProxyHost('km-left');
    const traces = (): Record<string, boolean> => ({
      nftables: /table ip6? weft \{/.test(host.rules()),
      iptables: host.rules().includes('KUBE-SVC'),
      userspace: host.alpha.run('ip', ['route', 'show', 'table', 'local', 'proto', '151']).stdout !== '',
    });
    for (const mode of ['nftables', 'iptables', 'userspace', 'nftables', 'userspace', 'iptables']) {
      await using proxy = host.start(mode);
      await proxy.ready();
      await untilGot(host.alpha, `http://${VIP}/`, 'beta');
      const others = { nftables: false, iptables: false, userspace: false };
      expect(traces(), mode).toEqual({ ...others, [mode]: true });
      expect(await proxy.stop('SIGKILL')).not.toBe(0);
    }
  },
  DEADLINE_MS,
);

test(
  'kernel modes switch on a live node without a failed connection; sockets take over and give back',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft', 'iptables');
    if (reason !== undefined) context.skip(reason);
    using host = new ProxyHost('km-switch');
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
      await waitFor(`mode ${mode}`, () => inForce() === mode);
      const before = load.done;
      await waitFor('more requests', () => load.done > before + 10);
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
      await waitFor(`mode ${mode}`, () => inForce() === mode);
      await untilGot(host.alpha, `http://${VIP}/`, 'beta');
      expect(host.rules().includes('KUBE-SVC')).toBe(mode === 'iptables');
      await waitFor('its routes alone', () => (routes() !== '') === (mode === 'userspace'));
    }
  },
  DEADLINE_MS,
);
