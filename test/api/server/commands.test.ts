import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { exec } from '../../../src/net/exec.ts';
import { type ControlPlane, openControlPlane } from '../../../src/node/control-plane.ts';
import { client } from '../../support/kubectl.ts';
import { waitFor } from '../../support/wait-for.ts';
import { caller, type Call, MASTER, patchType } from './support.ts';

/** kubectl 1.35 against server and controllers, with a hollow node: pods that are bound there run at once. */
let control: ControlPlane;
let call: Call;
let home: string;
let hollow: { stop(): Promise<void> };

beforeAll(async () => {
  control = await openControlPlane(
    {
      clock: systemClock,
      log: silentLogger,
      metrics: new Registry(),
      exec,
      random: Math.random,
      onReady: () => {},
    },
    {
      dataDir: undefined,
      store: 'memory:',
      listen: { host: '127.0.0.1', port: 0 },
      serviceCidrs: ['10.96.0.0/16'],
      nodePortRange: { from: 30_000, to: 32_767 },
      controllers: { loadBalancerPools: [] },
    },
  );
  call = caller(control.server.exchange(MASTER));
  hollow = await hollowNode('n1');
  home = await mkdtemp(join(tmpdir(), 'weft-commands-'));
  await writeFile(join(home, 'config'), control.server.adminKubeconfig);
  const script = '#!/bin/sh\nsed -i "s/^  replicas: 2/  replicas: 3/" "$1"\n';
  await writeFile(join(home, 'editor'), script, { mode: 0o755 });
  await writeFile(join(home, 'web.yaml'), WEB);
  await writeFile(join(home, 'web2.yaml'), WEB.replace('image: web:1', 'image: web:2'));
});
afterAll(async () => {
  await hollow.stop();
  await control[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

const WEB = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: c, image: 'web:1', ports: [{ containerPort: 80 }] }] }
`.replace("image: 'web:1'", 'image: web:1');

async function hollowNode(name: string): Promise<{ stop(): Promise<void> }> {
  const condition = (type: string): object => ({ type, status: 'True', reason: 'Hollow', message: '' });
  await call('POST', '/api/v1/nodes', { metadata: { name, labels: { 'kubernetes.io/hostname': name } } });
  const resources = { cpu: '8', memory: '8Gi', pods: '110' };
  await call(
    'PATCH',
    `/api/v1/nodes/${name}/status`,
    { status: { allocatable: resources, capacity: resources, conditions: [condition('Ready')] } },
    patchType.merge,
  );
  const stop = new AbortController();
  const turn = async (): Promise<void> => {
    const { body } = await call('GET', '/api/v1/pods');
    for (const pod of body.items) {
      const path = `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}`;
      if (pod.metadata.deletionTimestamp) await call('DELETE', `${path}?gracePeriodSeconds=0`);
      else if (pod.spec.nodeName === name && pod.status.phase === 'Pending') {
        const status = {
          phase: 'Running',
          podIP: '10.0.0.1',
          podIPs: [{ ip: '10.0.0.1' }],
          conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(condition),
          containerStatuses: pod.spec.containers.map((one: { name: string; image: string }) => ({
            name: one.name,
            image: one.image,
            imageID: '',
            ready: true,
            restartCount: 0,
            state: { running: { startedAt: new Date().toISOString() } },
          })),
        };
        await call('PATCH', `${path}/status`, { status }, patchType.merge);
      }
    }
  };
  const running = (async () => {
    while (!stop.signal.aborted) {
      await turn();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  return {
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

async function kubectl(args: readonly string[], input = ''): Promise<{ code: number | null; out: string }> {
  const child = spawn(client('kubectl'), [...args], {
    cwd: home,
    env: {
      PATH: '/usr/bin:/bin',
      HOME: home,
      KUBECONFIG: join(home, 'config'),
      KUBE_EDITOR: join(home, 'editor'),
    },
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out };
}

const READING = /^(get|describe|events|rollout history|auth)/;

type Step = readonly [command: string, expected: RegExp];

/** In order: later commands see what earlier ones did. */
const STEPS: readonly Step[] = [
  ['create deployment made --image=web:1 --replicas=0', /deployment.apps\/made created/],
  ['apply -f web.yaml --validate=strict', /deployment.apps\/web created/],
  ['rollout status deploy/web --timeout=60s', /successfully rolled out/],
  ['get deploy web -o jsonpath={.status.readyReplicas}', /^2$/],
  ['wait --for=condition=Available deploy/web --timeout=60s', /condition met/],
  ['apply -f web2.yaml --dry-run=server', /configured \(server dry run\)/],
  ['diff -f web2.yaml', /image: web:2/],
  ['apply -f web2.yaml', /deployment.apps\/web configured/],
  ['rollout status deploy web --timeout=60s', /successfully rolled out/],
  ['rollout history deploy web', /REVISION[\s\S]*1 [\s\S]*2 /],
  ['rollout undo deploy web', /rolled back/],
  ['rollout status deploy web --timeout=60s', /successfully rolled out/],
  ['get deploy web -o jsonpath={.spec.template.spec.containers[0].image}', /^web:1$/],
  ['rollout restart deploy web', /restarted/],
  ['rollout pause deploy web', /paused/],
  ['rollout resume deploy web', /resumed/],
  ['set image deploy/web c=web:3', /image updated/],
  ['set env deploy/web A=b', /env updated/],
  ['set resources deploy/web -c=c --requests=cpu=1m', /resource requirements updated/],
  ['edit deploy web', /deployment.apps\/web edited/],
  ['get deploy web -o jsonpath={.spec.replicas}', /^3$/],
  ['patch deploy web -p {"spec":{"minReadySeconds":0,"revisionHistoryLimit":5}}', /patched/],
  ['patch deploy web --type=json -p [{"op":"replace","path":"/spec/replicas","value":2}]', /patched/],
  ['patch deploy web --type=merge --subresource=scale -p {"spec":{"replicas":1}}', /patched/],
  ['scale deploy web --replicas=2 --current-replicas=1', /scaled/],
  ['autoscale deploy web --min=1 --max=3 --cpu-percent=80', /autoscaled/],
  ['get hpa web', /Deployment\/web/],
  ['delete hpa web', /deleted/],
  ['label deploy web tier=front', /labeled/],
  ['annotate deploy web note=x --overwrite', /annotated/],
  ['expose deploy web --port=80 --type=NodePort', /exposed/],
  ['get svc web -o wide', /NodePort.*app=web/],
  ['get endpointslices -l kubernetes.io/service-name=web', /web-/],
  ['describe svc web', /Selector: +app=web/],
  [
    'describe deploy web',
    /NewReplicaSet[^]*ScalingReplicaSet +\S+ +(\(x\d+ over \S+\) +)?deployment-controller/,
  ],
  ['run once --image=x --restart=Never', /pod\/once created/],
  ['wait --for=jsonpath={.status.phase}=Running pod/once --timeout=60s', /condition met/],
  ['describe pod once', /Node: +n1/],
  ['events --for pod/once', /Scheduled/],
  ['get events --field-selector involvedObject.name=once,source=default-scheduler', /Scheduled/],
  [
    'get pods --field-selector spec.foo=x',
    /^Error from server \(BadRequest\): Unable to find "\/v1, Resource=pods" that match label selector "", field selector "spec.foo=x": field label not supported: spec.foo$/m,
  ],
  [
    'patch deploy web --type=json -p [{"op":"remove","path":"/spec/x"}]',
    /^The request is invalid: the server rejected our request due to an error in our request$/m,
  ],
  ['delete svc kubernetes', /deleted/],
  ['get svc kubernetes', /kubernetes +ClusterIP +10\.96\.0\.1 /],
  ['cordon n1', /cordoned/],
  ['get nodes', /Ready,SchedulingDisabled/],
  ['uncordon n1', /uncordoned/],
  ['taint nodes n1 a=b:PreferNoSchedule', /tainted/],
  ['taint nodes n1 a-', /untainted/],
  ['describe node n1', /Non-terminated Pods/],
  ['create pdb web --selector=app=web --min-available=2', /created/],
  ['get pdb web -o jsonpath={.status.currentHealthy}', /^2$/],
  [
    'drain n1 --force --ignore-daemonsets --delete-emptydir-data --timeout=6s',
    /will retry after 5s\): Cannot evict pod as it would violate the pod's disruption budget[^]*global timeout reached/,
  ],
  ['delete pdb web', /deleted/],
  ['drain n1 --force --ignore-daemonsets --delete-emptydir-data --timeout=60s', /evicted|drained/],
  ['uncordon n1', /uncordoned/],
  ['create job j --image=x', /job.batch\/j created/],
  ['create cronjob cj --image=x --schedule=0_0_*_*_*', /cronjob.batch\/cj created/],
  ['create job k --from=cronjob/cj', /job.batch\/k created/],
  ['create ns other', /namespace\/other created/],
  ['create quota q --hard=pods=10 -n other', /resourcequota\/q created/],
  ['describe quota q -n other', /pods +0 +10/],
  ['describe ns other', /Resource Quotas/],
  ['create sa robot', /serviceaccount\/robot created/],
  ['create token robot --duration=10m', /^ey/],
  ['create role reader --verb=get,list --resource=pods,pods/log', /role.*created/],
  ['create rolebinding reader --role=reader --serviceaccount=default:robot', /created/],
  ['auth can-i list pods --as=system:serviceaccount:default:robot', /^yes/],
  ['auth can-i delete pods --as=system:serviceaccount:default:robot', /^no/],
  ['auth can-i --list --as=system:serviceaccount:default:robot', /pods\/log/],
  ['auth whoami', /kubernetes-admin/],
  ['create clusterrole cr --verb=get --resource=nodes', /created/],
  ['create configmap cm --from-literal=a=b', /created/],
  ['create secret tls none --cert=no --key=no', /no such file/],
  ['create secret generic s --from-literal=a=b', /created/],
  ['get secret s -o go-template={{.data.a}}', /^Yg==$/],
  ['create ingress i --rule=a.b/*=web:80', /created/],
  ['describe ingress i', /a\.b/],
  ['create pdb p --selector=app=web --min-available=1', /created/],
  ['create priorityclass pc --value=5', /created/],
  ['replace -f web.yaml', /replaced/],
  ['apply -f web.yaml --server-side --force-conflicts', /serverside-applied/],
  ['get deploy web -o yaml --show-managed-fields', /manager: kubectl/],
  ['get all -A', /deployment.apps\/web/],
  ['get pods -A --sort-by=.metadata.name -o custom-columns=N:.metadata.name', /^N/],
  ['get deploy web -o name', /^deployment.apps\/web$/m],
  ['get --raw /api/v1/namespaces/default', /"kind":"Namespace"/],
  ['get --raw /readyz', /ok/],
  ['api-resources --verbs=list -o name', /deployments.apps/],
  ['api-versions', /apps\/v1/],
  ['cluster-info', /control plane/],
  ['explain pod.spec.containers --recursive', /imagePullPolicy/],
  ['version', /Server Version: v1\.35/],
  ['top nodes', /Metrics API not available/],
  ['logs once', /not found/],
  ['delete pods --all --force --grace-period=0', /deleted|No resources/],
  ['delete ns other --timeout=60s', /deleted/],
  ['delete deploy web made --cascade=foreground --timeout=60s', /deleted/],
  ['delete all --all --timeout=60s', /deleted/],
];

describe('kubectl, command by command', () => {
  it.each(STEPS)('%s', async (command, expected) => {
    const args = command
      .split(' ')
      .map((one) => (one.startsWith('--schedule') ? one.replaceAll('_', ' ') : one));
    let { out } = await kubectl(args);
    // What controllers do comes a little later: reading commands may look again.
    if (READING.test(command) && !expected.test(out)) {
      await waitFor(`${command} to say ${expected}`, async () =>
        expected.test((out = (await kubectl(args)).out)),
      ).catch(() => {});
    }
    expect(out).toMatch(expected);
  });
});
