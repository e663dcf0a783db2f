import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.ts';
import { pod, PodBench, shell } from './support/pod-bench.ts';

let bench: PodBench;
beforeEach(() => void (bench = new PodBench()));
afterEach(() => bench[Symbol.asyncDispose]());

const logOf = (uid: string, container = 'main', attempt = 0): string =>
  readFileSync(bench.runtime.folders.log({ podUid: uid, container, attempt }), 'utf8');

describe('a pod of processes', () => {
  it('runs, reports and ends by itself', async () => {
    const worker = bench.start(
      pod({ restartPolicy: 'Never', containers: [shell('echo hello; echo oh >&2; exit 0')] }),
    );
    await worker.ended;
    await waitFor('a final status', () => bench.statuses.at(-1)?.phase === 'Succeeded');
    const status = bench.statuses.at(-1);
    expect(status).toMatchObject({
      phase: 'Succeeded',
      podIP: '127.244.9.1',
      hostIP: '127.0.0.1',
      qosClass: 'BestEffort',
    });
    expect(status?.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 0,
      reason: 'Completed',
    });
    const lines = logOf(worker.uid);
    expect(lines).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z stdout F hello$/m);
    expect(lines).toMatch(/^\S+ stderr F oh$/m);
  });

  it('gives the environment, expands it and maps mountPaths', async () => {
    bench.sources.setConfigMap('app', { 'a.txt': 'from config', level: 'debug' });
    const worker = bench.start(
      pod({
        restartPolicy: 'Never',
        volumes: [{ name: 'conf', configMap: { name: 'app' } }],
        containers: [
          shell(
            'echo $GREETING $POD_NAMESPACE; cat /etc/app/a.txt; echo; pwd; echo "$1"; echo done >/dev/termination-log',
            {
              args: ['sh', '--x=$(GREETING)'],
              workingDir: '/etc/app',
              env: [
                { name: 'LEVEL', valueFrom: { configMapKeyRef: { name: 'app', key: 'level' } } },
                { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
                { name: 'GREETING', value: '$(LEVEL)-$(IP)' },
              ],
              volumeMounts: [{ name: 'conf', mountPath: '/etc/app' }],
            },
          ),
        ],
      }),
    );
    await worker.ended;
    const text = logOf(worker.uid).replaceAll(/^\S+ std\w+ F /gm, '');
    expect(text).toContain('debug-127.244.9.1 default\nfrom config\n');
    expect(text).toContain('/volumes/conf\n--x=debug-127.244.9.1');
    expect(worker.status.containerStatuses?.[0]?.state?.terminated?.message).toBe('done\n');
  });

  it('runs a debug container once when one is added, and ends without waiting for it', async () => {
    const main = shell('until test -e done; do sleep 0.05; done');
    const worker = bench.start(pod({ restartPolicy: 'Never', containers: [main] }));
    const running = (): boolean => worker.status.phase === 'Running';
    await waitFor('the pod', running);
    const { spec } = worker.pod;
    const debug = { ...shell('echo from debugger'), name: 'debug' };
    const long = { ...shell('sleep 1000'), name: 'long' };
    worker.update({ ...worker.pod, spec: { ...spec, ephemeralContainers: [debug, long] } });
    const statuses = (): unknown[] => worker.status.ephemeralContainerStatuses ?? [];
    await waitFor(
      'both',
      () => worker.container('debug')?.status.state?.terminated && worker.container('long')?.process,
    );
    expect(logOf(worker.uid, 'debug')).toMatch(/stdout F from debugger$/m);
    expect(statuses()).toMatchObject([
      { name: 'debug', restartCount: 0, state: { terminated: { exitCode: 0 } } },
      { name: 'long', state: { running: {} } },
    ]);
    expect(running()).toBe(true);
    writeFileSync(join(bench.runtime.folders.pod(worker.uid), 'work', 'done'), '');
    await worker.ended;
    expect(worker.status.phase).toBe('Succeeded');
    expect(worker.container('long')?.process).toBeUndefined();
  });

  it('is ready when its probe says so and stops within its grace', async () => {
    const server = `const s = require('node:http').createServer((q, r) => r.end('ok')).listen(8080, process.env.POD_IP);
      process.on('SIGTERM', () => { console.log('closing'); s.close(() => process.exit(0)); });`;
    const worker = bench.start(
      pod({
        containers: [
          {
            name: 'main',
            image: 'web',
            command: [process.execPath, '-e', server],
            readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 10 },
          },
        ],
      }),
    );
    await waitFor('ready', () =>
      bench.statuses.at(-1)?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True'),
    );
    expect(bench.statuses.at(-1)?.phase).toBe('Running');
    await worker.terminate(5);
    expect(worker.status.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 0 });
    expect(logOf(worker.uid)).toContain('closing');
    expect(worker.status.phase).toBe('Succeeded');
  });

  it('runs exec probes with the paths that the container sees', async () => {
    const container = shell('echo ok >/data/ready; exec sleep 100');
    const worker = bench.start(
      pod({
        volumes: [{ name: 'data', emptyDir: {} }],
        containers: [
          {
            ...container,
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
            readinessProbe: { exec: { command: ['grep', 'ok', '/data/ready'] }, periodSeconds: 1 },
          },
        ],
      }),
    );
    await waitFor('ready', () => worker.status.containerStatuses?.[0]?.ready);
    await worker.terminate(1);
  });

  it('kills what ignores SIGTERM, with all it started', async () => {
    const worker = bench.start(
      pod({ containers: [shell("trap '' TERM; setsid sleep 100 & sleep 100 & wait; sleep 100")] }),
    );
    await waitFor(
      'three processes',
      () =>
        bench.runtime.table
          .list(true)
          .filter((one) => bench.runtime.table.markerOf(one)?.includes(worker.uid)).length >= 4,
    );
    await worker.terminate(0);
    const left = bench.runtime.table
      .list(true)
      .filter((one) => bench.runtime.table.markerOf(one)?.includes(worker.uid));
    expect(left).toEqual([]);
    expect(worker.status.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 137,
      reason: 'Error',
    });
  });

  it('says what to do for an image without a command', async () => {
    bench.start(pod({ containers: [{ name: 'web', image: 'nginx:1.27' }] }));
    const waiting = await waitFor(
      'a reason',
      () =>
        bench.statuses.at(-1)?.containerStatuses?.[0]?.state?.waiting?.message &&
        bench.statuses.at(-1)?.containerStatuses?.[0]?.state?.waiting,
    );
    expect(waiting).toMatchObject({
      reason: 'ImageNotMapped',
      message: expect.stringContaining("--image-map 'nginx:1.27=COMMAND'"),
    });
  });

  it('runs an image by its map', async () => {
    const worker = bench.start(
      pod({
        restartPolicy: 'Never',
        containers: [{ name: 'main', image: 'docker.io/library/nginx:1.27', args: ['two'] }],
      }),
      { imageMap: 'nginx=echo one' },
    );
    await worker.ended;
    expect(logOf(worker.uid)).toContain('stdout F one two');
  });

  it('restarts at once, then backs off', async () => {
    bench.start(pod({ containers: [shell('exit 3')] }));
    const status = await waitFor(
      'back-off',
      () =>
        bench.statuses.at(-1)?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff' &&
        bench.statuses.at(-1),
    );
    expect(status?.phase).toBe('Running');
    expect(status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 3, reason: 'Error' } },
      state: {
        waiting: { message: expect.stringMatching(/^back-off 10s restarting failed container=main pod=/) },
      },
    });
  });

  it('runs init containers in order, then a sidecar beside the pod', async () => {
    const worker = bench.start(
      pod({
        restartPolicy: 'Never',
        volumes: [{ name: 'shared', emptyDir: {} }],
        initContainers: [
          shell('echo one >>/shared/order', {
            name: 'one',
            volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
          }),
          shell('echo side >>/shared/order; exec sleep 100', {
            name: 'side',
            restartPolicy: 'Always',
            volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
          }),
          shell('echo two >>/shared/order', {
            name: 'two',
            volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
          }),
        ],
        containers: [
          shell('cat /shared/order', { volumeMounts: [{ name: 'shared', mountPath: '/shared' }] }),
        ],
      }),
    );
    await worker.ended;
    expect(worker.status.phase).toBe('Succeeded');
    expect(readFileSync(join(bench.runtime.folders.pod(worker.uid), 'volumes/shared/order'), 'utf8')).toMatch(
      /one\n(side\ntwo|two\nside)\n/,
    );
  });

  it('refreshes a ConfigMap volume in one step', async () => {
    bench.sources.setConfigMap('app', { a: '1', b: '1' });
    const worker = bench.start(
      pod({ volumes: [{ name: 'conf', configMap: { name: 'app' } }], containers: [shell('sleep 100')] }),
    );
    await waitFor('running', () => worker.phase === 'Running');
    bench.sources.setConfigMap('app', { a: '2', c: '2' });
    const folder = join(bench.runtime.folders.pod(worker.uid), 'volumes/conf');
    await waitFor('the new version', () => readFileSync(join(folder, 'a'), 'utf8') === '2');
    expect(
      readdirSync(folder)
        .filter((name) => !name.startsWith('..'))
        .sort(),
    ).toEqual(['a', 'c']);
  });
});
