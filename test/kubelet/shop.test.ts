import { readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { parseAllDocuments } from 'yaml';
import type { ConfigMap } from '../../src/api/kinds/config.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import type { Pod, PodSpec } from '../../src/api/kinds/pod.ts';
import type { Service } from '../../src/api/kinds/service.ts';
import type { PodWorker } from '../../src/kubelet/pods/pod-worker.ts';
import { waitFor } from '../support/wait-for.ts';
import { PodBench } from './support/pod-bench.ts';

const SHOP = new URL('../../examples/shop/', import.meta.url).pathname;

interface Workload extends KubeObject {
  spec: { template: { spec: PodSpec } };
}

const objects = readdirSync(SHOP)
  .filter((name) => name.endsWith('.yaml'))
  .flatMap((name) => parseAllDocuments(readFileSync(join(SHOP, name), 'utf8')))
  .map((document) => document.toJS() as KubeObject);

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the kind it expects
function find<T extends KubeObject>(kind: string, name: string): T {
  const found = objects.find((one) => one.kind === kind && one.metadata.name === name);
  if (!found) throw new Error(`the shop has no ${kind} ${name}`);
  return found as T;
}

let bench: PodBench;
beforeEach(() => {
  bench = new PodBench(undefined, { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` });
  bench.sources.configMaps.set('servers', find<ConfigMap>('ConfigMap', 'servers'));
});
afterEach(() => bench[Symbol.asyncDispose]());

async function ready(kind: string, name: string, podIP: string): Promise<PodWorker> {
  const { spec } = find<Workload>(kind, name).spec.template;
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${name}-0`, namespace: 'shop', uid: `uid-${name}` },
    spec,
  };
  const worker = bench.start(pod, { podIP });
  await waitFor(`${name} to be ready`, () =>
    worker.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
  return worker;
}

describe('the shop', () => {
  it('mounts the sources that lie in servers/', () => {
    const { data = {} } = find<ConfigMap>('ConfigMap', 'servers');
    expect(Object.keys(data).sort()).toEqual(readdirSync(join(SHOP, 'servers')).sort());
    for (const [name, text] of Object.entries(data)) {
      expect(text, name).toBe(readFileSync(join(SHOP, 'servers', name), 'utf8'));
    }
  });

  it('shows a page with prices from the API', async () => {
    await ready('Deployment', 'api', '127.244.9.2');
    const service = find<Service>('Service', 'api');
    bench.sources.serviceList.push({ ...service, spec: { ...service.spec, clusterIP: '127.244.9.2' } });
    await ready('Deployment', 'front', '127.244.9.3');
    const page = await (await fetch('http://127.244.9.3:8080/')).text();
    expect(page).toContain('<td>shuttle</td><td>18.50</td>');
    expect(page).toContain('page by front-0, prices by api-0');
  });

  it('finishes what is under way when it is stopped', async () => {
    const worker = await ready('Deployment', 'api', '127.244.9.4');
    const slow = new Promise<number | undefined>((resolve, reject) => {
      get('http://127.244.9.4:8080/api/slow?ms=2500', (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode));
      }).on('error', reject);
    });
    const stopped = worker.terminate(15);
    expect(await slow).toBe(200);
    await stopped;
    expect(worker.status.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 0 });
  });

  it('keeps carts', async () => {
    await ready('StatefulSet', 'cart', '127.244.9.5');
    const url = 'http://127.244.9.5:8080/carts/ada';
    await fetch(url, { method: 'PUT', body: '["loom"]' });
    expect(await (await fetch(url)).json()).toEqual({ items: ['loom'], servedBy: 'cart-0' });
  });

  it('chats over WebSocket and says goodbye', async () => {
    const worker = await ready('Deployment', 'chat', '127.244.9.6');
    const socket = new WebSocket('ws://127.244.9.6:8080/');
    const messages: string[] = [];
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    socket.on('message', (data: Buffer) => messages.push(data.toString()));
    await waitFor('the welcome', () => messages.includes('welcome to chat-0'));
    socket.send('hello');
    await waitFor('the echo', () => messages.includes('chat-0: hello'));
    void worker.terminate(15);
    expect(await closed).toBe(1001);
    await worker.ended;
  });

  it('has an owner page and a mailer that runs by itself', async () => {
    await ready('Deployment', 'admin', '127.244.9.7');
    expect(await (await fetch('http://127.244.9.7:8080/')).json()).toMatchObject({ node: 'bench' });
    const mailer = await ready('Deployment', 'mailer', '127.244.9.8');
    const alive = join(bench.runtime.folders.pod(mailer.uid), 'volumes/run/alive');
    await waitFor('a sign of life', () => readFileSync(alive, 'utf8').length > 0);
    await mailer.terminate(5);
    expect(mailer.status.phase).toBe('Succeeded');
  });
});
