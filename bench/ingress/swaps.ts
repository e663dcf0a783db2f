/**
 * New tables under load: wrk asks as fast as it can over kept connections while one Ingress after another is added
 * and served. Fails when a connection breaks or anything but 200 is answered. Run: node bench/ingress/swaps.ts [seconds] [native]
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { run, Stage, startBackend, startWeft } from './stage.ts';

const seconds = Number(process.argv[2] ?? 10);
const CONNECTIONS = 64;

using stage = new Stage();
await startBackend(stage, 128);
const engine = process.argv[3] === 'native' ? 'native' : 'portable';
const proxy = await startWeft(stage, [], [], engine);
const manifest = join(stage.folder, `${engine}.json`);
const first = JSON.parse(readFileSync(manifest, 'utf8')) as { items: object[] };

function ingress(version: number): object {
  const backend = { service: { name: 'web', port: { number: 80 } } };
  const paths = [{ path: '/', pathType: 'Prefix', backend }];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: `v${version}` },
    spec: { rules: [{ host: `v${version}.test`, http: { paths } }] },
  };
}

function statusOf(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { host: proxy.address, port: proxy.http, headers: { host }, agent: false };
    http
      .get(options, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
      .on('error', reject);
  });
}

/** Adds one Ingress and takes the one before away; resolves when that is served. */
async function swap(version: number): Promise<void> {
  writeFileSync(`${manifest}.new`, JSON.stringify({ ...first, items: [...first.items, ingress(version)] }));
  renameSync(`${manifest}.new`, manifest);
  while ((await statusOf(`v${version}.test`)) !== 200)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

const url = `http://${proxy.address}:${proxy.http}/api/thing?x=1`;
const load = (forSeconds: number): Promise<string> =>
  run('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${forSeconds}s`, '-H', 'Host: bench.test', url]);
await load(2);
const loaded = { done: false };
const running = load(seconds).finally(() => (loaded.done = true));
let swaps = 0;
while (!loaded.done) await swap(++swaps);
const out = await running;
const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1]);
const broken = /Socket errors.*|Non-2xx.*/.exec(out)?.[0];
process.stdout.write(
  `${swaps} swaps under ${Math.round(rate)} requests a second: ${broken ?? 'nothing dropped, all 200'}\n`,
);
if (broken !== undefined || swaps < 2) process.exitCode = 1;
