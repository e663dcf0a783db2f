import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachTo } from '../../src/kubelet/attach.ts';
import { isRunning, readStat } from '../../src/kubelet/runtime/process-table.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import { waitFor } from '../support/wait-for.ts';
import { pod, PodBench, shell } from './support/pod-bench.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'weft-adopt-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A kubelet in a process of its own that runs the pod and dies without a word. */
async function killedAfterStarting(manifest: Pod): Promise<number[]> {
  const podFile = join(folder, 'pod-manifest.json');
  writeFileSync(podFile, JSON.stringify(manifest));
  const script = new URL('./support/doomed-kubelet.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, folder, podFile], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line')) as [string];
  child.kill('SIGKILL');
  await once(child, 'exit');
  return (JSON.parse(line) as { pids: number[] }).pids;
}

const bench = (): PodBench => new PodBench(folder);
const textOf = (one: PodBench, uid: string, attempt = 0): string =>
  readFileSync(one.runtime.folders.log({ podUid: uid, container: 'main', attempt }), 'utf8');

describe('after kill -9 of the kubelet', () => {
  it('adopts what runs: same process, same log, not restarted, then stops it', async () => {
    const manifest = pod({ containers: [shell('i=0; while :; do echo line $((i=i+1)); sleep 0.05; done')] });
    const [pid = 0] = await killedAfterStarting(manifest);
    const startTicks = readStat(pid)?.startTicks ?? -1;
    expect(isRunning(pid, startTicks)).toBe(true);
    await using next = bench();
    expect(next.runtime.runningPods()).toEqual(new Set([manifest.metadata.uid]));
    const worker = next.start(manifest, { resumed: true });
    await waitFor('readiness', () => worker.status.containerStatuses?.[0]?.ready);
    expect(worker.status).toMatchObject({ phase: 'Running', containerStatuses: [{ restartCount: 0 }] });
    expect(worker.container('main')?.process?.record.pid).toBe(pid);
    const before = textOf(next, worker.uid).split('\n').length;
    await waitFor('more log', () => textOf(next, worker.uid).split('\n').length > before + 5);
    const numbers = Array.from(textOf(next, worker.uid).matchAll(/line (\d+)/g), (match) => Number(match[1]));
    // The killed kubelet may have held the first chunk in its hands; after that no line is missing or doubled.
    const [first = 0] = numbers;
    expect(first).toBeLessThanOrEqual(3);
    expect(numbers).toEqual(numbers.map((_number, index) => first + index));
    await worker.terminate(2);
    expect(isRunning(pid, startTicks)).toBe(false);
    expect(worker.status.containerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 143 });
  });

  it.each([
    ['pipe', { stdin: true }],
    ['terminal', { stdin: true, tty: true }],
  ])('takes over its input: %s', async (_mode, fields) => {
    const script = 'while read line; do echo got $line; done; echo over';
    const manifest = pod({ containers: [shell(script, fields)] });
    const [pid = 0] = await killedAfterStarting(manifest);
    await using next = bench();
    const worker = next.start(manifest, { resumed: true });
    const live = await waitFor('the process', () => worker.container('main')?.process);
    expect(live.record.pid).toBe(pid);
    attachTo(live, true).stdin?.write('hello\n');
    await waitFor('its answer', () => textOf(next, worker.uid).includes('got hello'));
    expect(textOf(next, worker.uid)).not.toContain('over');
    expect(worker.status.containerStatuses?.[0]?.restartCount).toBe(0);
  });

  it('takes over an input that is given once, and ends it', async () => {
    const manifest = pod({
      restartPolicy: 'Never',
      containers: [shell('cat; echo over', { stdin: true, stdinOnce: true })],
    });
    const [pid = 0] = await killedAfterStarting(manifest);
    await using next = bench();
    const worker = next.start(manifest, { resumed: true });
    const live = await waitFor('the process', () => worker.container('main')?.process);
    expect(live.record.pid).toBe(pid);
    attachTo(live, true).stdin?.end('all of it\n');
    await worker.ended;
    expect(textOf(next, worker.uid)).toMatch(/all of it\n.* over\n$/);
    expect(worker.status).toMatchObject({ phase: 'Succeeded' });
    expect(next.runtime.runningPods().size).toBe(0);
  });

  it('gives no second input to what was given one', async () => {
    const manifest = pod({
      containers: [shell('cat; echo over; exec sleep 100', { stdin: true, stdinOnce: true })],
    });
    await using first = bench();
    const before = first.start(manifest);
    const live = await waitFor('the process', () => before.container('main')?.process);
    attachTo(live, true).stdin?.end('all of it\n');
    await waitFor('its end', () => textOf(first, before.uid).includes('over'));
    await before.release();
    await using next = bench();
    const worker = next.start(manifest, { resumed: true });
    const adopted = await waitFor('the process', () => worker.container('main')?.process);
    expect(adopted.record.pid).toBe(live.record.pid);
    expect(attachTo(adopted, true).stdin).toBeUndefined();
  });

  it('ends what a container left behind that ended meanwhile', async () => {
    const go = join(folder, 'go');
    const script = `setsid sleep 100 & until [ -e ${go} ]; do sleep 0.05; done; exit 7`;
    const manifest = pod({ restartPolicy: 'Never', containers: [shell(script)] });
    const [pid = 0] = await killedAfterStarting(manifest);
    writeFileSync(go, '');
    await waitFor('the end', () => readStat(pid) === undefined);
    await using next = bench();
    expect(next.runtime.runningPods().size).toBe(1);
    const worker = next.start(manifest, { resumed: true });
    await worker.ended;
    expect(next.runtime.runningPods().size).toBe(0);
  });

  it('learns the exit code of what ended meanwhile', async () => {
    const manifest = pod({ restartPolicy: 'Never', containers: [shell('sleep 0.6; exit 7')] });
    const [pid = 0] = await killedAfterStarting(manifest);
    await waitFor('the end', () => readStat(pid) === undefined);
    await using next = bench();
    const worker = next.start(manifest);
    await worker.ended;
    expect(worker.status.phase).toBe('Failed');
    expect(worker.status.containerStatuses?.[0]).toMatchObject({
      restartCount: 0,
      state: { terminated: { exitCode: 7, reason: 'Error' } },
    });
  });

  it('runs no finished init container again beside adopted ones', async () => {
    const count = join(folder, 'count');
    const manifest = pod({
      initContainers: [shell(`echo once >>${count}`, { name: 'init' })],
      containers: [shell('exec sleep 100')],
    });
    await killedAfterStarting(manifest);
    await using next = bench();
    const worker = next.start(manifest, { resumed: true });
    await waitFor('running', () => worker.status.phase === 'Running');
    expect(readFileSync(count, 'utf8')).toBe('once\n');
  });

  it('ends what no pod stands for, and nothing else', async () => {
    const [pid = 0] = await killedAfterStarting(
      pod({ containers: [shell('setsid sleep 100 & exec sleep 100')] }),
    );
    const startTicks = readStat(pid)?.startTicks ?? -1;
    const stranger = spawn('sleep', ['100'], { env: { WEFT_CONTAINER: 'another-kubelet/uid/main/0' } });
    await using next = bench();
    const { table } = next.runtime;
    const mine = `bench-${folder}`.replaceAll('/', '-');
    const started = (): number =>
      table.list(true).filter((stat) => table.markerOf(stat)?.startsWith(`${mine}/`)).length;
    await waitFor('supervisor, command and its child', () => started() >= 3);
    expect(await next.runtime.reap(() => false)).toBeGreaterThanOrEqual(3);
    expect(isRunning(pid, startTicks)).toBe(false);
    expect(next.runtime.runningPods().size).toBe(0);
    expect(stranger.exitCode).toBeNull();
    stranger.kill();
  });

  it('does not take a stranger with the same pid for its own', async () => {
    const manifest = pod({ restartPolicy: 'Never', containers: [shell('sleep 100')] });
    await killedAfterStarting(manifest);
    await using next = bench();
    const key = { podUid: manifest.metadata.uid ?? '', container: 'main', attempt: 0 };
    const file = join(next.runtime.folders.attempt(key), 'process.json');
    const record = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; startTicks: number };
    writeFileSync(file, JSON.stringify({ ...record, startTicks: record.startTicks + 1 }));
    expect(await next.runtime.adopt(key)).toBeUndefined();
    writeFileSync(
      file,
      JSON.stringify({ ...record, pid: process.pid, startTicks: readStat(process.pid)?.startTicks }),
    );
    expect(await next.runtime.adopt(key)).toBeUndefined();
  });
});
