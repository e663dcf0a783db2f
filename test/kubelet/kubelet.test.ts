import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiClient } from '../../src/api/client/api-client.ts';
import { type ApiClient, ApiError } from '../../src/api/client/client.ts';
import { resources } from '../../src/api/client/resources.ts';
import type { Event } from '../../src/api/kinds/event.ts';
import type { Lease } from '../../src/api/kinds/lease.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import type { Node } from '../../src/api/kinds/node.ts';
import type { Pod, PodSpec } from '../../src/api/kinds/pod.ts';
import { ApiServer } from '../../src/api/server/server.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLogger, type LogRecord } from '../../src/base/log.ts';
import { Registry } from '../../src/base/metrics.ts';
import { Kubelet, type KubeletOptions } from '../../src/kubelet/kubelet.ts';
import { exec } from '../../src/net/exec.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { waitFor } from '../support/wait-for.ts';
import { shell } from './support/pod-bench.ts';

let stack: AsyncDisposableStack;
let client: ApiClient;
let folder: string;
let metrics: Registry;
let logs: LogRecord[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-kubelet-api-'));
  logs = [];
  metrics = new Registry();
  stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const deps = {
    clock: systemClock,
    log: createLogger((one) => logs.push(one), 'debug'),
    metrics: new Registry(),
  };
  const store = stack.use(openMemoryStore(deps));
  const server = stack.use(
    await ApiServer.open(
      { ...deps, store },
      { dataDir: undefined, serviceCidrs: ['127.96.0.0/16'], nodePortRange: { from: 30000, to: 32767 } },
    ),
  );
  client = createApiClient(server.exchange({ username: 'test', groups: ['system:masters'] }));
});
afterEach(() => stack.disposeAsync());

async function openKubelet(more: Partial<KubeletOptions> = {}): Promise<Kubelet> {
  const log = createLogger((one) => logs.push(one), 'debug');
  return await Kubelet.open(
    { client, clock: systemClock, log, exec, random: () => 0.5, metrics },
    {
      nodeName: 'host-1',
      dataDir: join(folder, 'kubelet'),
      hostIP: '127.0.0.1',
      podCidr: '127.244.0.0/16',
      clusterDns: '127.96.0.10',
      clusterDomain: 'cluster.local',
      hostEnv: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      version: '0.1.0',
      ...more,
    },
  );
}

async function useKubelet(more: Partial<KubeletOptions> = {}): Promise<Kubelet> {
  const kubelet = await openKubelet(more);
  stack.use(kubelet);
  stack.defer(() => kubelet.stopPods({ graceSecondsMax: 0 }));
  return kubelet;
}

function createPod(name: string, spec: Partial<PodSpec> & Pick<PodSpec, 'containers'>): Promise<Pod> {
  return client.create<Pod>(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'host-1', terminationGracePeriodSeconds: 3, ...spec },
  });
}

const getPod = (name: string): Promise<Pod> => client.get<Pod>(resources.pods, name, 'default');
const podIn = (name: string, phase: string): Promise<Pod> =>
  waitFor(`${name} to be ${phase}`, async () => {
    const pod = await getPod(name);
    return pod.status?.phase === phase && pod;
  });

async function isGone(asked: Promise<KubeObject>): Promise<boolean> {
  try {
    await asked;
    return false;
  } catch (error) {
    return error instanceof ApiError && error.status === 404;
  }
}

async function text(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const ALL_LOGS = {
  follow: false,
  previous: false,
  timestamps: false,
  tailLines: undefined,
  limitBytes: undefined,
  sinceTimeMs: undefined,
};

describe('a kubelet on a real API', () => {
  it('registers its node and renews its lease', async () => {
    await useKubelet();
    const node = await client.get<Node>(resources.nodes, 'host-1');
    expect(node.status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'True' });
    expect(node.status?.addresses).toContainEqual({ type: 'InternalIP', address: '127.0.0.1' });
    expect(Number(node.status?.capacity?.cpu)).toBeGreaterThan(0);
    expect(node.metadata.labels).toMatchObject({
      'kubernetes.io/hostname': 'host-1',
      'kubernetes.io/os': 'linux',
    });
    const lease = await waitFor('a lease', () =>
      client.get<Lease>(resources.leases, 'host-1', 'kube-node-lease'),
    );
    expect(lease.spec).toMatchObject({ holderIdentity: 'host-1', leaseDurationSeconds: 40 });
  });

  it('runs a pod, reports it, streams from it, and deletes it when told', async () => {
    const kubelet = await useKubelet();
    await createPod('web', { containers: [shell('echo hello from $POD_NAME; exec sleep 100')] });
    const running = await podIn('web', 'Running');
    expect(running.status?.podIP).toMatch(/^127\.244\./);
    expect(running.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True');
    const ref = { namespace: 'default', pod: 'web', container: undefined };
    const signal = new AbortController().signal;
    await waitFor(
      'the log',
      async () => (await text(kubelet.door.logs(ref, ALL_LOGS, signal))) === 'hello from web\n',
    );
    const session = await kubelet.door.exec(ref, {
      command: ['sh', '-c', 'cat; echo $POD_NAME; exit 4'],
      stdin: true,
      tty: false,
    });
    session.stdin?.end('typed\n');
    expect(await text(session.stdout)).toBe('typed\nweb\n');
    expect(await session.exit).toEqual({ exitCode: 4 });
    expect(await metrics.metrics()).toMatch(
      /container_memory_working_set_bytes\{namespace="default",pod="web",container="main"\} \d{5,}/,
    );
    await client.delete(resources.pods, 'web', 'default');
    await waitFor('the pod to be gone', () => isGone(getPod('web')));
    expect(kubelet.runningPods).toBe(0);
    const events = await client.list<Event>(resources.events, { namespace: 'default' });
    expect(events.items.map(({ reason }) => reason)).toContain('Started');
  });

  it('gives a command a terminal of its own', async () => {
    const kubelet = await useKubelet();
    await createPod('web', { containers: [shell('exec sleep 100')] });
    await podIn('web', 'Running');
    const ref = { namespace: 'default', pod: 'web', container: undefined };
    const command = ['sh', '-c', 'test -t 0 && stty size; read line; stty size; echo "got $line"; exit 3'];
    const session = await kubelet.door.exec(ref, { command, stdin: true, tty: true });
    let seen = '';
    session.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    await waitFor('the first size', () => seen.includes('24 80'));
    session.resize(120, 40);
    session.stdin?.write('hi\n');
    expect(await session.exit).toEqual({ exitCode: 3 });
    await waitFor('the rest', () => seen.includes('40 120') && seen.includes('got hi'));
  });

  it('keeps the conditions of others and waits for readiness gates', async () => {
    await useKubelet();
    await createPod('gated', {
      readinessGates: [{ conditionType: 'example.com/ok' }],
      containers: [shell('exec sleep 100')],
    });
    const ready = async (): Promise<string | undefined> =>
      (await getPod('gated')).status?.conditions?.find(({ type }) => type === 'Ready')?.status;
    await podIn('gated', 'Running');
    expect(await ready()).toBe('False');
    const patch = { status: { conditions: [{ type: 'example.com/ok', status: 'True' }] } };
    await client.patch(resources.pods, 'gated', 'default', 'strategic', patch, { subresource: 'status' });
    await waitFor('ready', async () => (await ready()) === 'True');
    expect((await getPod('gated')).status?.conditions?.map(({ type }) => type)).toContain('example.com/ok');
  });

  it('waits for a ConfigMap and starts when it comes', async () => {
    await useKubelet();
    await createPod('late', {
      restartPolicy: 'Never',
      volumes: [{ name: 'conf', configMap: { name: 'conf' } }],
      containers: [shell('cat /etc/conf/a', { volumeMounts: [{ name: 'conf', mountPath: '/etc/conf' }] })],
    });
    await waitFor('an event', async () =>
      (await client.list<Event>(resources.events)).items.some(({ reason }) => reason === 'FailedMount'),
    );
    await client.create<KubeObject>(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'conf', namespace: 'default' },
      data: { a: 'here' },
    } as KubeObject);
    await podIn('late', 'Succeeded');
  });

  it('leaves pods running when it is disposed and finds them again', async () => {
    const first = await openKubelet();
    await createPod('steady', { containers: [shell('exec sleep 100')] });
    const before = await podIn('steady', 'Running');
    await first[Symbol.asyncDispose]();
    metrics = new Registry();
    const next = await useKubelet();
    await waitFor('usage', () => next.usage().containers.length === 1);
    const after = await waitFor('the adopted container in status', async () => {
      const pod = await getPod('steady');
      return pod.status?.containerStatuses?.[0]?.containerID ? pod : undefined;
    });
    expect(after.status?.podIP).toBe(before.status?.podIP);
    expect(after.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 0,
      containerID: before.status?.containerStatuses?.[0]?.containerID,
    });
  });

  it('ends the pods that were deleted while no kubelet ran', async () => {
    const first = await openKubelet();
    await createPod('stale', { containers: [shell('exec sleep 100')] });
    await podIn('stale', 'Running');
    await first[Symbol.asyncDispose]();
    await client.delete(resources.pods, 'stale', 'default', { gracePeriodSeconds: 0 });
    metrics = new Registry();
    const next = await useKubelet();
    expect(next.usage().containers).toEqual([]);
    expect(logs.some(({ event }) => event === 'ended processes of pods that are gone')).toBe(true);
  });

  it('runs static pods and shows them as mirrors that cannot be deleted', async () => {
    const staticPodDir = join(folder, 'manifests');
    const kubelet = await useKubelet({ staticPodDir });
    const manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'base' },
      spec: { containers: [shell('exec sleep 100')] },
    };
    writeFileSync(join(staticPodDir, 'base.json'), JSON.stringify(manifest));
    const mirror = await waitFor('the mirror', () => podIn('base-host-1', 'Running'));
    expect(mirror.metadata.annotations?.['kubernetes.io/config.mirror']).toBeTruthy();
    expect(mirror.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'Node', name: 'host-1' });
    const [usage] = kubelet.usage().containers;
    await client.delete(resources.pods, 'base-host-1', 'default', { gracePeriodSeconds: 0 });
    const again = await waitFor('the next mirror', async () => {
      const pod = await getPod('base-host-1');
      return pod.metadata.uid !== mirror.metadata.uid && pod.status?.phase === 'Running' && pod;
    });
    expect(again.status?.containerStatuses?.[0]?.containerID).toBe(
      mirror.status?.containerStatuses?.[0]?.containerID,
    );
    expect(usage?.pod).toBe('base-host-1');
    unlinkSync(join(staticPodDir, 'base.json'));
    await waitFor(
      'both to be gone',
      async () => kubelet.runningPods === 0 && (await isGone(getPod('base-host-1'))),
    );
  });
});
