import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { kindAndName } from '../../src/cli/objects/kinds-by-name.ts';
import { canMakeNamespaces, type Output } from '../support/own-network.ts';
import { UpHost } from '../support/up-host.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ hookTimeout: 200_000 });

const MANIFEST = `
apiVersion: v1
kind: Namespace
metadata: {name: mill}
---
apiVersion: v1
kind: Service
metadata: {name: loom, namespace: mill}
spec: {selector: {app: loom}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: loom, namespace: mill}
spec:
  replicas: 0
  selector: {matchLabels: {app: loom}}
  template:
    metadata: {labels: {app: loom}}
    spec:
      containers:
        - {name: loom, image: loom, env: [{name: HOST, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]}
`;
const able = canMakeNamespaces();
let host: UpHost;
const weft = (args: string): Output => host.weft(args);

/** Three objects of one manifest. */
beforeAll(async () => {
  if (able) host = await UpHost.open('objects', (up) => ['--apply', up.file('mill.yaml', MANIFEST)]);
});
afterAll(() => host?.[Symbol.asyncDispose]());

describe.runIf(able)('the verbs of a machine without kubectl', () => {
  it('applies what weft up applied: one owner, no conflict', () => {
    const { stdout, stderr, status } = weft(`apply ${host.file('mill.yaml', MANIFEST)}`);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^namespace\/mill .*\nservice\/loom unchanged\ndeployment\/loom unchanged\n$/);
    expect(status).toBe(0);
  });

  it.each([
    [
      'get deploy,svc -n mill',
      /^NAME +READY.*\ndeployment\.apps\/loom +0\/0.*\n\nNAME +TYPE.*\nservice\/loom +ClusterIP/,
    ],
    ['get all -n mill', /service\/loom[^]*deployment\.apps\/loom/],
    ['get service/loom -n mill', /^NAME +TYPE.*\nloom +ClusterIP/],
    ['get svc,deploy -n mill -o name', /^service\/loom\ndeployment\.apps\/loom\n$/],
    ['get svc,deploy -n mill -o yaml', /^apiVersion: v1\nkind: List\n[^]*kind: Deployment/],
    ['get pods -n mill', /^No resources found\.\n$/],
  ])('weft %s', (args, output) => {
    const { stdout, stderr, status } = weft(args);
    expect(stderr).toBe('');
    expect(stdout).toMatch(output);
    expect(status).toBe(0);
  });

  it.each([
    ['get foo', 1, /no kind called "foo"/],
    ['get svc,foo', 1, /no kind called "foo"/],
    ['get svc,pods --watch', 64, /--watch svc,pods: name one kind/],
    ['get svc/warp -n mill -w', 1, /services "warp" not found/],
    ['logs svc/warp -n mill', 1, /services "warp" not found/],
    ['logs deploy/loom -n mill', 1, /deploy\/loom has no pods \(app=loom\)/],
    ['logs cm/kube-root-ca.crt -n mill', 64, /selects no pods/],
    ['get svc -o table', 64, /-o table: use wide, yaml, json or name/],
    ['get svc/loom loom', 64, /use KIND NAME or KIND\/NAME/],
    ['delete', 64, /Give KIND NAME, or manifests with -f/],
    ['delete svc', 64, /delete which of svc\?/],
    ['delete svc,deploy loom', 64, /name one kind/],
  ])('weft %s is refused', (args, exitCode, message) => {
    const { stdout, stderr, status } = weft(args);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(status).toBe(exitCode);
  });

  it('goes on with what changes until it is stopped', async () => {
    const watch = host.start('get svc -n mill --watch --output-watch-events');
    let text = '';
    watch.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const ended = once(watch, 'exit');
    await waitFor('what is there', () => /^EVENT +NAME +TYPE.*\nADDED +loom +ClusterIP/.test(text), 60_000);
    const file = host.file('pirn.yaml', MANIFEST.replaceAll('loom', 'pirn'));
    expect(weft(`apply ${file}`).status).toBe(0);
    expect(weft('delete svc,deploy/pirn -n mill').status).toBe(64);
    expect(weft('delete svc/pirn -n mill').status).toBe(0);
    await waitFor(
      'what went',
      () => /\nADDED +pirn +ClusterIP[^]*\nDELETED +pirn +ClusterIP/.test(text),
      60_000,
    );
    watch.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
  });

  it('chooses a pod and a container for the log of a workload', async () => {
    const speak = (name: string): object => ({
      name,
      image: name,
      command: [process.execPath, '-e', `console.log('${name} speaks'); setInterval(() => {}, 1e6)`],
    });
    const labels = { app: 'choir' };
    const spec = { containers: [speak('alto'), speak('bass')] };
    const choir = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'choir', namespace: 'default' },
      spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    };
    expect(weft(`apply ${host.file('choir.json', JSON.stringify(choir))}`).status).toBe(0);
    let said = weft('logs deployment/choir');
    await waitFor('a log', () => (said = weft('logs deployment/choir')).stdout !== '', 90_000);
    expect(said.stdout).toBe('alto speaks\n');
    expect(said.stderr).toMatch(
      /^Found 2 pods, using pod\/choir-\S+\nDefaulted container "alto" out of: alto, bass\n$/,
    );
    await waitFor('the other', () => weft('logs deploy/choir -c bass').stdout === 'bass speaks\n', 90_000);
  });

  it('deletes what manifests name, from the last to the first, and says what is gone already', () => {
    expect(weft('delete deploy/loom -n mill').stdout).toBe('deployment/loom deleted\n');
    const { stdout, stderr, status } = weft(`delete -f ${host.file('mill.yaml', MANIFEST)}`);
    expect(stdout).toBe('service/loom deleted\nnamespace/mill deleted\n');
    expect(stderr).toMatch(/mill\.yaml:13 .*deployments\.apps "loom" not found/);
    expect(status).toBe(1);
  });
});

if (!able)
  it('the verbs of a machine without kubectl', (context) => context.skip('network namespaces need root'));

describe('names of objects', () => {
  it.each([
    [
      ['pods', undefined],
      ['pods', undefined],
    ],
    [
      ['pods', 'a'],
      ['pods', 'a'],
    ],
    [
      ['pods/a', undefined],
      ['pods', 'a'],
    ],
  ] as const)('%j', ([kind, name], expected) => {
    expect(kindAndName(kind, name)).toEqual(expected);
  });
});
