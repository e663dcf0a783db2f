import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { client } from '../support/kubectl.ts';
import { canMakeNamespaces, OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { WeftProcess } from '../support/weft-process.ts';

/** How long requests go on, and how often the Deployment is rolled meanwhile. */
const LOAD_MS = 60_000;
const ROLLOUTS = 4;
/** However slow the machine is: the load goes on until then. */
const REQUESTS_MIN = 500;

interface Tally {
  readonly done: number;
  readonly failed: number;
  readonly errors: readonly string[];
}

it('rolling the front Deployment under load fails no lookup and no request', async (ctx) => {
  if (!canMakeNamespaces()) return ctx.skip('needs root to make network namespaces');
  const folder = mkdtempSync(join(tmpdir(), 'weft-roll-'));
  using host = new OwnNetwork('roll');
  await using weft = new WeftProcess(host, ['up', '--data-dir', folder, '--apply', `${ROOT}examples/shop`]);
  await weft.ready();
  const kubectl = (...args: string[]): string => {
    const env = { ...process.env, HOME: folder };
    const all = ['--kubeconfig', join(folder, 'kubeconfig'), '-n', 'shop', ...args];
    const { status, stdout, stderr } = host.run(client('kubectl'), all, { env });
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  const address = kubectl('get', 'service', 'front', '-o', 'jsonpath={.spec.clusterIP}');
  const load = host.start(process.execPath, [
    `${ROOT}test/scenarios/support/constant-load.ts`,
    'front.shop.svc.cluster.local',
    `http://${address}/`,
    'https://shop.localhost:8443/',
    String(REQUESTS_MIN),
  ]);
  let printed = '';
  load.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  load.stderr?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const first = kubectl('get', 'pods', '-l', 'app=front', '-o', 'name');
  const end = performance.now() + LOAD_MS;
  for (let round = 1; round <= ROLLOUTS; round++) {
    kubectl('rollout', 'restart', 'deployment/front');
    kubectl('rollout', 'status', 'deployment/front', '--timeout=90s');
    await pause(Math.max(0, end - performance.now()) / (ROLLOUTS - round + 1));
  }
  expect(kubectl('get', 'pods', '-l', 'app=front', '-o', 'name')).not.toBe(first);
  load.kill('SIGTERM');
  await new Promise((resolve) => load.once('exit', resolve));
  const tallies = JSON.parse(printed) as Readonly<Record<string, Tally>>;
  for (const [what, { done, failed, errors }] of Object.entries(tallies)) {
    expect({ what, failed, errors }).toEqual({ what, failed: 0, errors: [] });
    expect(done, what).toBeGreaterThan(REQUESTS_MIN);
  }
  expect(await weft.stop()).toBe(0);
  rmSync(folder, { recursive: true, force: true });
}, 360_000);
