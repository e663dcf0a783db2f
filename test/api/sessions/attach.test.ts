import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeUnless, hostLacks } from '../../support/host-lacks.ts';
import { client } from '../../support/kubectl.ts';
import { OwnNetwork, type Output } from '../../support/own-network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { WeftProcess } from '../../support/weft-process.ts';

const PATIENCE_MS = 90_000;

describeUnless(hostLacks())('kubectl with input for containers', () => {
  it('runs, attaches to and debugs pods', async () => {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'weft-attach-'));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const host = stack.use(new OwnNetwork('attach'));
    const kubeconfig = join(folder, 'admin.conf');
    const weft = stack.use(
      new WeftProcess(host, ['up', '--data-dir', join(folder, 'data'), '--kubeconfig-out', kubeconfig]),
    );
    await weft.ready();
    const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: folder };
    const kubectl = (input: string, ...args: string[]): Output =>
      host.run(client('kubectl'), args, { env, input, timeoutMs: PATIENCE_MS });
    /** In a terminal, as at a desk; what is typed waits in it until the shell on the other side reads. */
    const atTerminal = (input: string, command: string): Output =>
      host.run('script', ['-qec', `${client('kubectl')} ${command}`, '/dev/null'], {
        env,
        input,
        timeoutMs: PATIENCE_MS,
      });
    const run = ['run', '--image=busybox', '--restart=Never', '-q'];

    const once = kubectl('abcd1234', ...run, 'once', '-i', '--rm', '--command', '--', 'wc', '-c');
    expect([once.status, once.stdout.trim().split('\n')[0]], once.stderr).toEqual([0, '8']);
    const failing = ['sh', '-c', 'cat; exit 3'];
    expect(kubectl('x', ...run, 'failing', '-i', '--rm', '--command', '--', ...failing).status).toBe(3);
    expect(kubectl('', 'get', 'pods', '-o', 'name').stdout).toBe('');

    const echo = 'while read line; do echo got $line; done; echo over';
    const open = ['--stdin', '--leave-stdin-open', '--attach=false'];
    kubectl('', ...run, 'open', ...open, '--command', '--', 'sh', '-c', echo);
    kubectl('', 'wait', '--for=condition=Ready', 'pod/open', `--timeout=${PATIENCE_MS / 1000}s`);
    for (const word of ['one', 'two']) {
      expect(kubectl(`${word}\n`, 'attach', '-i', '-q', 'open').status).toBe(0);
      const logs = (): string => kubectl('', 'logs', 'open').stdout;
      await waitFor(word, () => logs().endsWith(`got ${word}\n`), PATIENCE_MS);
    }

    const shell = atTerminal(
      'tty\nexit 5\n',
      'run shell -q -it --rm --restart=Never --image=busybox --command -- sh',
    );
    expect([shell.status, shell.stdout]).toEqual([5, expect.stringMatching(/\/dev\/pts\/\d+/)]);
    const debug = atTerminal('echo $((40 + 2))\nexit\n', 'debug -q -it open --image=busybox -c look -- sh');
    expect(debug.stdout).toMatch(/^42\r$/m);

    const node = kubectl('', 'get', 'nodes', '-o', 'name').stdout.trim().replace('node/', '');
    const near = (path: string): Output => kubectl('', 'get', '--raw', `/api/v1/nodes/${node}/proxy${path}`);
    expect(near('/runningpods/').stdout).toContain('"name":"open"');
    expect(near('/containerLogs/default/open/open?tailLines=1').stdout).toBe('got two\n');
    expect(near('/containerLogs/default/gone/open').stderr).toContain('NotFound');
    const ran = `/api/v1/nodes/${node}/proxy/run/default/open/open?cmd=sh+-c+exit`;
    expect(kubectl('', 'create', '--raw', ran, '-f', '/dev/null').status).toBe(0);
    await weft.stop();
  }, 360_000);
});
