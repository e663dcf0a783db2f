import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { OwnNetwork } from '../support/own-network.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';
import { get, startWeb, untilGot, web } from './cluster.ts';
import { hostLacks } from '../support/host-lacks.ts';
import { ProxyHost, VIP } from './support/proxy-host.ts';

const DEADLINE_MS = 900_000;
/** A busy machine is slow, not wrong. */
const PATIENCE_MS = 150_000;

/**
 * Asks the service for as long as it runs: on one connection that is kept, and on a new one each time. A line
 * for each answer; another one when something breaks.
 */
const CLIENT = `
const { connect } = require('net');
const open = (name, again) => {
  const socket = connect(80, '${VIP}');
  const close = again ? 'keep-alive' : 'close';
  const ask = () => socket.write('GET / HTTP/1.1\\r\\nHost: web\\r\\nConnection: ' + close + '\\r\\n\\r\\n');
  let answered = false;
  socket.on('connect', ask).on('data', () => {
    if (again || !answered) console.log(name);
    answered = true;
    if (again) setTimeout(ask, 50);
  });
  socket.on('error', (error) => console.log(name + ' ' + error.code)).on('close', () => {
    if (again || !answered) return console.log(name + ' closed');
    setTimeout(() => open(name, false), 50);
  });
  socket.setTimeout(120000, () => { console.log(name + ' silence'); socket.destroy(); });
};
open('kept', true);
open('new', false);`;

class Client implements Disposable {
  readonly lines: string[] = [];
  readonly #kill: () => void;

  constructor(host: OwnNetwork) {
    const child = host.start(process.execPath, ['-e', CLIENT]);
    this.#kill = () => child.kill('SIGKILL');
    child.stdout?.on('data', (chunk: Buffer) => this.lines.push(...chunk.toString().trim().split('\n')));
  }

  /** Both kinds of connection have been answered a few times more, or something broke. */
  async goesOn(): Promise<void> {
    const from = this.lines.length;
    const isOver = (): boolean => {
      const later = this.lines.slice(from);
      const enough = ['kept', 'new'].every((name) => later.filter((line) => line === name).length >= 5);
      return enough || this.broken.length > 0;
    };
    await waitFor('more answers', isOver, PATIENCE_MS);
  }

  get broken(): readonly string[] {
    return this.lines.filter((line) => line !== 'kept' && line !== 'new');
  }

  [Symbol.dispose](): void {
    this.#kill();
  }
}

/** A host beyond ours that reaches services by way of it. */
function outsideOf(host: ProxyHost): OwnNetwork {
  const client = host.lan.host('client', '192.0.2.20/24');
  client.run('ip', ['route', 'add', '10.96.0.0/12', 'via', '192.0.2.11']);
  host.alpha.run('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1']);
  return client;
}

test.for(['bind', 'redirect', 'tproxy'])(
  'no connection fails while the mode changes to userspace and back, capture %s',
  { timeout: DEADLINE_MS },
  async (capture, context) => {
    const reason = hostLacks('ip', 'curl', 'nft', 'iptables');
    if (reason !== undefined) context.skip(reason);
    using host = new ProxyHost(`um-${capture.slice(0, 4)}`);
    const outside = outsideOf(host);
    await using proxy = host.start('nftables', '--userspace-capture', capture);
    await proxy.ready();
    await untilGot(host.alpha, `http://${VIP}/`, 'beta');
    await untilGot(outside, `http://${VIP}/`, 'beta');
    using stack = new DisposableStack();
    const clients: Client[] = [];
    for (const mode of ['userspace', 'nftables', 'userspace', 'iptables']) {
      // those who came in the mode before, and all who came earlier
      clients.push(...[host.alpha, outside].map((from) => stack.use(new Client(from))));
      await Promise.all(clients.map((client) => client.goesOn()));
      host.configure(mode);
      proxy.child.kill('SIGHUP');
      const inForce = (): string => get(host.alpha, 'http://127.0.0.1:10249/proxyMode');
      await waitFor(`mode ${mode}`, () => inForce() === mode, PATIENCE_MS);
      await Promise.all(clients.map((client) => client.goesOn()));
      expect(clients.map(({ broken }) => broken)).toEqual(clients.map(() => []));
    }
  },
);

const captures = [
  ['native', 'redirect'],
  ['portable', 'redirect'],
  ['native', 'tproxy'],
] as const;

test.for(captures)(
  'mode userspace captures service addresses for one listener, engine %s by %s',
  { timeout: DEADLINE_MS },
  async ([engine, way], context) => {
    const reason = hostLacks('ip', 'curl', 'nft');
    if (reason !== undefined) context.skip(reason);
    using host = new ProxyHost(`um-${engine.slice(0, 3)}-${way.slice(0, 3)}`);
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
    const capture = ['--userspace-capture', way, '--engine', engine];
    const flags = ['--config', host.configure('userspace'), ...capture];
    await using proxy = new WeftProcess(host.alpha, ['proxy', '--from', host.manifest, ...flags]);
    await proxy.ready();
    await untilGot(host.alpha, `http://${VIP}/`, 'beta');
    host.alpha.run('ip', ['-6', 'route', 'add', 'fd00:96::/112', 'dev', 'eth0']);
    await untilGot(host.alpha, 'http://[fd00:96::7]/', 'six');
    const client = host.lan.host('client', '192.0.2.20/24', 'fd00::20/64');
    client.run('ip', ['route', 'add', '10.96.0.0/12', 'via', '192.0.2.11']);
    client.run('ip', ['route', 'add', 'fd00:96::/112', 'via', 'fd00::11']);
    await untilGot(client, `http://${VIP}/`, 'beta');
    await untilGot(client, 'http://[fd00:96::7]/', 'six');
    expect(get(client, 'http://10.96.7.9/')).toMatch(/^\((7|56)\)$/); // refused, not lost
    // no service address became the host's own
    expect(host.alpha.run('ip', ['route', 'show', 'table', 'local', 'proto', '151']).stdout).toBe('');
    const listening = host.alpha.run('ss', ['-Hltn']).stdout;
    expect(listening).not.toContain(VIP);
    expect(host.alpha.run('nft', ['flush', 'ruleset']).status).toBe(0);
    if (way === 'tproxy')
      for (const six of ['-4', '-6']) host.alpha.run('ip', [six, 'rule', 'del', 'pref', '151']);
    await untilGot(client, `http://${VIP}/`, 'beta');
    await untilGot(client, 'http://[fd00:96::7]/', 'six');
    writeFileSync(host.manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: items.slice(2) }));
    await waitFor('the service to go', () => get(host.alpha, `http://${VIP}/`).startsWith('('), PATIENCE_MS);
    expect(await proxy.stop()).toBe(0);
    expect(host.rules()).toBe('');
    expect(policyRoutes(host)).toBe('');
  },
);

/** Rules and routes of captured connections. */
function policyRoutes({ alpha }: ProxyHost): string {
  const lines = ['-4', '-6'].flatMap((family) => [
    ...alpha.run('ip', [family, 'rule']).stdout.split('\n'),
    ...alpha.run('ip', [family, 'route', 'show', 'table', 'all']).stdout.split('\n'),
  ]);
  return lines.filter((line) => /\b151\b/.test(line)).join('\n');
}

/** Answers each connection with the line that it began with. */
const HEADER_TELLER = `
require('net').createServer((socket) => socket.once('data', (data) => socket.end(
  'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n' + data.toString().split('\\r\\n')[0]))).listen(8080, '192.0.2.11')`;

test(
  'capture by tproxy keeps both addresses of a connection, and --cleanup removes what a killed process left',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft');
    if (reason !== undefined) context.skip(reason);
    using host = new ProxyHost('um-left');
    const outside = outsideOf(host);
    host.alpha.start(process.execPath, ['-e', HEADER_TELLER]);
    const items = web('web', VIP, ['192.0.2.11']);
    writeFileSync(host.manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const flags = ['--userspace-capture', 'tproxy', '--proxy-protocol', 'v1'];
    await using proxy = host.start('userspace', ...flags);
    await proxy.ready();
    const told = await waitFor(
      'the header',
      () => /PROXY TCP4 192\.0\.2\.20 10\.96\.7\.7 \d+ 80/.exec(get(outside, `http://${VIP}/`))?.[0],
      PATIENCE_MS,
    );
    expect(told).toBeDefined();
    await proxy.stop('SIGKILL');
    expect(policyRoutes(host)).toContain('fwmark');
    expect(host.rules()).toContain('tproxy');
    host.weft('proxy', '--cleanup');
    expect(policyRoutes(host)).toBe('');
    expect(host.rules()).toBe('');
  },
  DEADLINE_MS,
);
