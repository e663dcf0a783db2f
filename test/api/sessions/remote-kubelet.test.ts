import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeUnless, hostLacks } from '../../support/host-lacks.ts';
import { client } from '../../support/kubectl.ts';
import { OwnNetwork } from '../../support/own-network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { WeftProcess } from '../../support/weft-process.ts';

const PATIENCE_MS = 90_000;
const FAR = '/api/v1/nodes/far/proxy';
const COUNT = 'trap exit TERM; echo hello; while :; do expr 1 + 1 >/dev/null; done';

describeUnless(hostLacks())('the kubelet of another process', () => {
  it('is behind the proxy of its node, and its pods have metrics', async () => {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'weft-far-'));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const host = stack.use(new OwnNetwork('far'));
    const admin = join(folder, 'admin.conf');
    const data = (name: string): string[] => ['--data-dir', join(folder, name)];
    const api = ['server', '--api-listen', '127.0.0.1:6443', '--kubeconfig-out', admin];
    const server = stack.use(new WeftProcess(host, [...api, ...data('server')]));
    await server.ready();
    const flags = ['--hostname-override', 'far', '--node-ip', '127.0.0.1', '--proxy-mode', 'userspace'];
    const kubelet = ['--kubelet', '--pod-cidr', '127.244.3.0/24'];
    const node = stack.use(
      new WeftProcess(host, ['node', '--kubeconfig', admin, ...flags, ...kubelet, ...data('node')]),
    );
    await node.ready();
    const env = { ...process.env, HOME: folder };
    const kubectl = (...args: string[]): string => {
      const words = ['--kubeconfig', admin, ...args];
      const { stdout, stderr } = host.run(client('kubectl'), words, { env, timeoutMs: PATIENCE_MS });
      return stdout + stderr;
    };
    await waitFor('the account', () => kubectl('get', 'sa').includes('default'), PATIENCE_MS);
    kubectl('run', 'counter', '--image=x', '--command', '--', 'sh', '-c', COUNT);
    kubectl('wait', '--for=condition=Ready', 'pod/counter', `--timeout=${PATIENCE_MS / 1000}s`);

    const raw = (path: string): string => kubectl('get', '--raw', `${FAR}${path}`);
    expect(raw('/healthz')).toBe('ok');
    expect(raw('/pods')).toContain('"name":"counter"');
    expect(kubectl('get', '--raw', '/api/v1/nodes/far:10250/proxy/healthz')).toBe('ok');
    expect(raw('/containerLogs/default/counter/counter')).toBe('hello\n');
    expect(raw('/metrics')).toContain('kubelet_running_pods 1');
    const run = `${FAR}/run/default/counter/counter?cmd=echo+ran`;
    expect(kubectl('create', '--raw', run, '-f', '/dev/null')).toBe('ran\n');
    expect(raw('/nothing')).toContain('NotFound');

    kubectl('create', 'sa', 'reader');
    const asReader = (): string =>
      kubectl('get', '--raw', `${FAR}/pods`, '--as=system:serviceaccount:default:reader');
    expect(asReader()).toContain('cannot get resource "nodes/proxy"');
    kubectl('create', 'clusterrole', 'kubelets', '--verb=get', '--resource=nodes/proxy');
    const account = '--serviceaccount=default:reader';
    kubectl('create', 'clusterrolebinding', 'reader', '--clusterrole=kubelets', account);
    await waitFor('the right to read', () => asReader().includes('"kind":"PodList"'), PATIENCE_MS);

    const pod = (): string => kubectl('top', 'pod', '--no-headers');
    await waitFor('kubectl top pod', () => /^counter +\d+m +\d+Mi/m.test(pod()), PATIENCE_MS);
    const far = /^far +\d+m +\d+% +\d+Mi +\d+% *$/m;
    await waitFor('kubectl top node', () => far.test(kubectl('top', 'node', '--no-headers')), PATIENCE_MS);
    kubectl('delete', 'pod', 'counter', '--now');
    await node.stop();
    await server.stop();
  }, 360_000);
});
