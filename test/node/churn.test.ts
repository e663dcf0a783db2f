import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { canMakeNamespaces, type OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { missingTools } from '../support/system-tools.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';
import { get, TestCluster, web } from './cluster.ts';

/** `WEFT_CHURN_SECONDS=60 vitest run test/node/churn.test.ts` is the long run. */
const SECONDS = Number(process.env['WEFT_CHURN_SECONDS'] ?? 15);
const DEADLINE_MS = 300_000 + 3_000 * SECONDS;
const CHANGES_PER_SECOND = 50;
const PODS = ['192.0.2.31', '192.0.2.32', '192.0.2.33', '192.0.2.34'];

function finished(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return new Promise((resolve) => child.on('close', () => resolve(text)));
}

function script(host: OwnNetwork, name: string, ...args: readonly (string | number)[]): ChildProcess {
  return host.start(process.execPath, [join(ROOT, 'test/node/support', name), ...args.map(String)]);
}

function nodeArgs({ kubeconfig }: TestCluster, name: string): readonly string[] {
  const flags = ['--proxy-mode', 'nftables', '--iptables-min-sync-period', '10ms'];
  return ['node', '--kubeconfig', kubeconfig, '--hostname-override', name, ...flags];
}

test(
  'endpoints come and go 50 times a second: no connection through either node fails',
  async (context) => {
    if (!canMakeNamespaces()) context.skip('network namespaces need root');
    const missing = missingTools().filter((tool) => ['ip', 'curl', 'nft', 'wrk'].includes(tool));
    if (missing.length > 0) context.skip(`missing: ${missing.join(', ')}`);
    await using cluster = await TestCluster.open('nd-churn');
    const [alpha, beta] = [cluster.host('alpha', 11), cluster.host('beta', 12)];
    const client = cluster.host('client', 20);
    const pods = cluster.lan.host('pods', ...PODS.map((address) => `${address}/24`));
    script(pods, 'churn-servers.ts', ...PODS);
    const start = (host: OwnNetwork, name: string): WeftProcess =>
      new WeftProcess(host, nodeArgs(cluster, name));
    await using a = start(alpha, 'alpha');
    await using b = start(beta, 'beta');
    await Promise.all([a.ready(), b.ready()]);
    const ports = (protocol: string, port: number, nodePort: number) => ({
      type: 'NodePort',
      ports: [{ name: 'http', port, targetPort: port, nodePort, protocol }],
    });
    cluster.apply(...web('web', '10.96.7.7', PODS, ports('TCP', 8080, 30_080)));
    const [service, slice] = web('udp', '10.96.7.8', PODS, ports('UDP', 8081, 30_081));
    const udpPorts = [{ name: 'http', port: 8081, protocol: 'UDP' }];
    cluster.apply(service, { ...(slice as object), ports: udpPorts });
    for (const node of [11, 12]) {
      const url = `http://192.0.2.${node}:30080/`;
      await waitFor(url, () => PODS.includes(get(client, url)), 30_000);
    }
    const writer = finished(
      script(
        cluster.server,
        'churn-writer.ts',
        cluster.kubeconfig,
        'web-1,udp-1',
        SECONDS + 2,
        CHANGES_PER_SECOND,
        ...PODS,
      ),
    );
    const load = ['-t', '1', '-c', '8', '-d', `${SECONDS}s`, '--timeout', '20s', '-H', 'Connection: close'];
    const wrk = [11, 12].map((node) =>
      finished(client.start('wrk', [...load, `http://192.0.2.${node}:30080/`])),
    );
    const udp = [11, 12].map((node) =>
      finished(script(client, 'udp-client.ts', `192.0.2.${node}`, 30_081, SECONDS)),
    );
    const [written, ...heard] = await Promise.all([writer, ...wrk, ...udp]);
    const { changes } = JSON.parse(written) as { changes: number };
    expect(changes).toBeGreaterThan(SECONDS); // a loaded machine may not manage them all
    const requests = heard.slice(0, 2).map((text) => /\d+ requests in/.exec(text)?.[0]);
    const figures = `${changes} changes in ${SECONDS + 2} s; ${requests.join(', ')}; ${heard.slice(2).join('')}`;
    await context.annotate(figures.replaceAll('\n', ' '));
    for (const text of heard.slice(0, 2)) {
      expect(text).toMatch(/\d+ requests in/);
      expect(text).not.toMatch(/Socket errors|Non-2xx/);
    }
    for (const text of heard.slice(2)) {
      const { asked, lost } = JSON.parse(text) as { asked: number; lost: number };
      expect(asked).toBeGreaterThan(0);
      expect(lost).toBe(0);
    }
  },
  DEADLINE_MS,
);
