import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EtcdCluster } from '../support/etcd.ts';
import { describeUnless, toolsLacking } from '../support/host-lacks.ts';
import { client } from '../support/kubectl.ts';
import { ROOT } from '../support/source-files.ts';
import { waitFor } from '../support/wait-for.ts';

/** One of several `weft server` on the same store. */
class Server implements AsyncDisposable {
  readonly folder: string;
  readonly #store: string;
  readonly #secret: string;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(folder: string, store: string, secret: string) {
    this.folder = folder;
    this.#store = store;
    this.#secret = secret;
  }

  async start(): Promise<void> {
    this.#output = '';
    const args = ['server', '--store', this.#store, '--data-dir', this.folder, '--api-listen', '127.0.0.1:0'];
    const kubeconfig = ['--kubeconfig-out', this.#kubeconfig, '--pki-key-file', this.#secret];
    const child = spawn(`${ROOT}bin/weft`, [...args, ...kubeconfig], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    await waitFor('weft server', () => this.#output.includes('\nready\n') || this.#failed(), 60_000);
  }

  #failed(): false {
    if (this.#child?.exitCode !== null) throw new Error(`weft server ended:\n${this.#output}`);
    return false;
  }

  get #kubeconfig(): string {
    return join(this.folder, 'admin.conf');
  }

  get address(): string {
    return /^api +(https:\S+)$/m.exec(this.#output)?.[1] ?? '';
  }

  kubectl(...args: string[]): string {
    const all = ['--kubeconfig', this.#kubeconfig, '--cache-dir', join(this.folder, 'cache'), ...args];
    return execFileSync(client('kubectl'), all, { encoding: 'utf8', timeout: 60_000 });
  }

  /** Who runs the controllers; '' when nobody does. */
  leader(): string {
    const path = 'jsonpath={.spec.holderIdentity}';
    return this.kubectl(
      'get',
      'lease',
      '-n',
      'kube-system',
      '--ignore-not-found',
      'weft-controllers',
      '-o',
      path,
    );
  }

  /** Names of the deployment's pods. */
  pods(deployment: string): string[] {
    const text = this.kubectl('get', 'pods', '-l', `app=${deployment}`, '-o', 'name');
    return text.split('\n').filter((line) => line !== '');
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

describeUnless(toolsLacking('etcd'))('two servers on one etcd', () => {
  it('share one state; one controls, and when it is killed the other takes over', async () => {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'weft-two-'));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const etcd = stack.use(await EtcdCluster.start(1));
    const store = `etcd:${etcd.endpoints.join(',')}`;
    // They are one cluster to their clients: the same CA and token key, by the same secret.
    const secret = join(folder, 'pki.key');
    writeFileSync(secret, randomBytes(32).toString('base64'));
    const first = stack.use(new Server(join(folder, 'first'), store, secret));
    await first.start();
    const second = stack.use(new Server(join(folder, 'second'), store, secret));
    await second.start();
    const leaders = [await waitFor('the first leads', () => second.leader(), 60_000)];

    const rollOut = async (server: Server, name: string): Promise<void> => {
      server.kubectl('create', 'deployment', name, '--image=none', '--replicas=2');
      await waitFor(`pods of ${name}`, () => server.pods(name).length === 2, 90_000);
    };
    await rollOut(second, 'one');
    expect(first.pods('one')).toEqual(second.pods('one'));
    expect(second.leader()).toBe(leaders[0]);
    // A client of one is known to the other.
    expect(first.kubectl('--server', second.address, 'auth', 'whoami')).toMatch(/kubernetes-admin/);

    await first.kill();
    await rollOut(second, 'two');
    leaders.push(second.leader());

    await first.start();
    await second.kill();
    await rollOut(first, 'three');
    leaders.push(first.leader());
    expect(new Set(leaders).size).toBe(3);
    for (const name of ['one', 'two', 'three']) expect(first.pods(name)).toHaveLength(2);
  }, 300_000);
});
