/** A thread that says it is up, beats once, and then stands still as a loop without an end would. */
import { parentPort, workerData } from 'node:worker_threads';
import type { WorkerStart } from '../../../../ingress/native/messages.ts';

const { pulse } = workerData as WorkerStart;
parentPort?.postMessage({ kind: 'up' }, []);
Atomics.add(pulse, 0, 1);
for (;;) Atomics.load(pulse, 0);
