import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeUnless, hostLacks } from '../../support/host-lacks.ts';
import { client } from '../../support/kubectl.ts';
import { type Output, OwnNetwork } from '../../support/own-network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { WeftProcess } from '../../support/weft-process.ts';

const HOOK = (when: string): string => `
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-${when}
  annotations:
    helm.sh/hook: ${when}
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: hook
          image: hook
          command: [sh, -c, 'echo ${when} >> {{ .Values.log }}; exit {{ .Values.hookExit }}']
`;

const CHART: Readonly<Record<string, string>> = {
  'Chart.yaml': 'apiVersion: v2\nname: shop\nversion: 0.1.0\nappVersion: "1"\n',
  'values.yaml': 'replicas: 1\nmessage: hello\nhookExit: 0\nlog: /dev/null\n',
  'templates/web.yaml': `
apiVersion: apps/v1
kind: Deployment
metadata: {name: '{{ .Release.Name }}-web', labels: {app: web}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {message: '{{ .Values.message }}'}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: web, command: [sleep, '1000']}]
---
apiVersion: v1
kind: Service
metadata: {name: '{{ .Release.Name }}-web'}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: '{{ .Release.Name }}-text'}
data: {message: '{{ .Values.message }}'}
`,
  'templates/hooks.yaml': ['pre-install', 'pre-upgrade', 'post-upgrade', 'pre-delete']
    .map(HOOK)
    .join('---\n'),
};

const lacks = hostLacks();
let host: OwnNetwork;
let weft: WeftProcess;
let folder: string;
let kubeconfig: string;

function run(program: 'helm' | 'kubectl', ...args: string[]): Output {
  const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: folder, HELM_DRIVER: 'secret' };
  return host.run(client(program), args, { env, timeoutMs: 180_000 });
}

function helm(...args: string[]): string {
  const { status, stdout, stderr } = run('helm', ...args);
  if (status !== 0) throw new Error(`helm ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

const kubectl = (...args: string[]): string => run('kubectl', ...args).stdout;
const message = (): string => kubectl('get', 'configmap', 'shop-text', '-o', 'jsonpath={.data.message}');
const ready = (): string => kubectl('get', 'deploy', 'shop-web', '-o', 'jsonpath={.status.readyReplicas}');
const history = (): { revision: number; status: string }[] =>
  JSON.parse(helm('history', 'shop', '-o', 'json')) as { revision: number; status: string }[];

beforeAll(async () => {
  if (lacks) return;
  folder = mkdtempSync(join(tmpdir(), 'weft-helm-'));
  kubeconfig = join(folder, 'admin.conf');
  for (const [name, text] of Object.entries(CHART)) {
    mkdirSync(join(folder, 'chart', name, '..'), { recursive: true });
    writeFileSync(join(folder, 'chart', name), text);
  }
  host = new OwnNetwork('helm');
  weft = new WeftProcess(host, ['up', '--data-dir', join(folder, 'data'), '--kubeconfig-out', kubeconfig]);
  await weft.ready();
});

afterAll(async () => {
  if (lacks) return;
  await weft.stop();
  host[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

describeUnless(lacks)('helm 4', () => {
  const chart = (): string => join(folder, 'chart');
  const wait = ['--wait', '--timeout', '150s'];
  const log = (): string => join(folder, 'hooks.log');
  const hooks = (): string[] => host.run('cat', [log()]).stdout.trim().split('\n');

  it('installs a chart, its hook first, and waits until it is ready', () => {
    const text = helm('install', 'shop', chart(), ...wait, '--set', `log=${log()}`);
    expect(text).toMatch(/^STATUS: deployed$/m);
    expect(hooks()).toEqual(['pre-install']);
    expect(ready()).toBe('1');
    expect(helm('list', '-o', 'json')).toMatch(/"name":"shop".*"status":"deployed"/);
    expect(kubectl('get', 'secret', '-l', 'owner=helm', '-o', 'name')).toBe(
      'secret/sh.helm.release.v1.shop.v1\n',
    );
  }, 200_000);

  it('upgrades, with a hook before and after', () => {
    const set = ['--set', `log=${log()},replicas=2,message=changed`];
    expect(helm('upgrade', 'shop', chart(), ...wait, ...set)).toMatch(/^STATUS: deployed$/m);
    expect(hooks()).toEqual(['pre-install', 'pre-upgrade', 'post-upgrade']);
    expect([message(), ready()]).toEqual(['changed', '2']);
    expect(helm('get', 'values', 'shop', '-o', 'json')).toContain('"replicas":2');
  }, 200_000);

  it('reports a hook that fails and leaves the release as it was', () => {
    const set = ['--set', `log=${log()},message=broken,hookExit=3`];
    const { status, stderr } = run('helm', 'upgrade', 'shop', chart(), ...wait, ...set);
    expect(status).toBe(1);
    expect(stderr).toMatch(/pre-upgrade hooks failed/);
    expect(message()).toBe('changed');
    expect(history().map((one) => one.status)).toEqual(['superseded', 'deployed', 'failed']);
  }, 200_000);

  it('rolls back to the first revision', () => {
    helm('rollback', 'shop', '1', ...wait);
    expect([message(), ready()]).toEqual(['hello', '1']);
    expect(history().at(-1)).toMatchObject({ revision: 4, status: 'deployed' });
  }, 200_000);

  it('uninstalls everything it made', async () => {
    expect(helm('uninstall', 'shop', ...wait)).toContain('release "shop" uninstalled');
    expect(hooks().at(-1)).toBe('pre-delete');
    await waitFor(
      'all gone',
      () => kubectl('get', 'deploy,rs,pods,svc,cm', '-l', 'app=web', '-o', 'name') === '',
      60_000,
    );
    expect(kubectl('get', 'secret', '-l', 'owner=helm', '-o', 'name')).toBe('');
    expect(kubectl('get', 'svc,cm', '-o', 'name')).not.toContain('shop');
  }, 200_000);
});
