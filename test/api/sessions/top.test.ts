import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeUnless, hostLacks } from '../../support/host-lacks.ts';
import { client } from '../../support/kubectl.ts';
import { OwnNetwork } from '../../support/own-network.ts';
import { waitFor } from '../../support/wait-for.ts';
import { WeftProcess } from '../../support/weft-process.ts';

/** It burns in children that end, whose time is in their parent's alone. */
const BURN = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: burn }
spec:
  selector: { matchLabels: { app: burn } }
  template:
    metadata: { labels: { app: burn } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: burn
          image: burn
          command: [sh, -c, 'while :; do expr 1 + 1 > /dev/null; done']
          resources: { requests: { cpu: 10m } }
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: burn }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: burn }
  maxReplicas: 2
  metrics:
    - { type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 50 } } }
`;

describeUnless(hostLacks())('kubectl top', () => {
  it('shows what pods and nodes use, and an autoscaler follows it', async () => {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'weft-top-'));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const manifest = join(folder, 'burn.yaml');
    writeFileSync(manifest, BURN);
    const host = stack.use(new OwnNetwork('top'));
    const kubeconfig = join(folder, 'admin.conf');
    const data = ['--data-dir', join(folder, 'data'), '--kubeconfig-out', kubeconfig];
    const weft = stack.use(new WeftProcess(host, ['up', ...data, '--apply', manifest]));
    await weft.ready();
    const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: folder };
    const kubectl = (...args: string[]): string => {
      const { stdout, stderr } = host.run(client('kubectl'), args, { env });
      return stdout + stderr;
    };
    expect(kubectl('api-resources', '--api-group=metrics.k8s.io')).toMatch(/NodeMetrics[^]*PodMetrics/);
    const line = /^burn-\S+ +burn +(\d+)m +\d+Mi *$/m;
    const top = (): string => kubectl('top', 'pod', '--containers', '--no-headers');
    const [, millicores] = await waitFor('kubectl top pod', () => line.exec(top()) ?? false, 90_000);
    expect(Number(millicores)).toBeGreaterThan(20);
    const node = /^\S+ +\d+m +\d+% +\d+Mi +\d+% *$/m;
    await waitFor('kubectl top node', () => node.test(kubectl('top', 'node', '--no-headers')), 90_000);
    const replicas = (): string => kubectl('get', 'deploy', 'burn', '-o', 'jsonpath={.status.readyReplicas}');
    await waitFor('the second replica', () => replicas() === '2', 120_000);
    expect(kubectl('describe', 'hpa', 'burn')).toMatch(/SuccessfulRescale/);
    await weft.stop();
  }, 360_000);
});
