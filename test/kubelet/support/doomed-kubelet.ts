/** Runs one pod in the folder given and prints what it sees, until it is killed. */
import { readFileSync } from 'node:fs';
import type { Pod } from '../../../src/api/kinds/pod.ts';
import { waitFor } from '../../support/wait-for.ts';
import { PodBench } from './pod-bench.ts';

const [dataDir = '', podFile = ''] = process.argv.slice(2);
const bench = new PodBench(dataDir);
const worker = bench.start(JSON.parse(readFileSync(podFile, 'utf8')) as Pod);
await waitFor('the pod to be ready', () =>
  worker.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
);
const pids = Array.from(worker.containers, ({ process: container }) => container?.record.pid);
console.log(JSON.stringify({ pids }));
setInterval(() => {}, 60_000);
