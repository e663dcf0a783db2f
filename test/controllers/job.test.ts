import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiError } from '../../src/api/client/client.ts';
import { resources } from '../../src/api/client/resources.ts';
import type { Job, JobSpec, JobStatus } from '../../src/api/kinds/batch.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import { Cluster } from './cluster.ts';

let cluster: Cluster;

beforeEach(async () => {
  cluster = await Cluster.open({ enabled: ['job', 'ttl-after-finished', 'garbage-collector'] });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function create(spec: Partial<JobSpec>, restartPolicy: 'Never' | 'OnFailure' = 'Never'): Promise<void> {
  const job: Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'sums', namespace: 'default' },
    spec: {
      template: { spec: { restartPolicy, containers: [{ name: 'main', image: 'sum' }] } },
      ...spec,
    },
  };
  await cluster.client.create(resources.jobs, job);
}

const get = (): Promise<Job> => cluster.client.get<Job>(resources.jobs, 'sums', 'default');
const status = async (): Promise<JobStatus> => (await get()).status ?? {};
const update = (spec: Partial<JobSpec>): Promise<unknown> =>
  cluster.client.patch(resources.jobs, 'sums', 'default', 'merge', { spec });
const isRunning = ({ metadata, status: { phase } = {} }: Pod): boolean =>
  !metadata.deletionTimestamp && phase !== 'Succeeded' && phase !== 'Failed';
const running = async (): Promise<Pod[]> => (await cluster.pods()).filter(isRunning);
const runningAre = (count: number): Promise<Pod[]> =>
  cluster.eventually(`${count} running`, async () => {
    const pods = await running();
    return pods.length === count && ((await status()).active ?? 0) === count && pods;
  });
const condition = async (type: string): Promise<string | undefined> => {
  const found = (await status()).conditions?.find((one) => one.type === type && one.status === 'True');
  return found && `${found.reason}: ${found.message}`;
};
const ends = (type: 'Complete' | 'Failed'): Promise<string> =>
  cluster.eventually(type, () => condition(type));

/** Plays the kubelet: the container ended with this code. */
async function end(pod: Pod | undefined, exitCode: number): Promise<void> {
  if (!pod) throw new Error('no such pod');
  const fresh = await cluster.client.get<Pod>(resources.pods, pod.metadata.name, 'default');
  const finishedAt = new Date(cluster.clock.nowMs()).toISOString().replace(/\.\d+Z/, 'Z');
  const containerStatus = {
    name: 'main',
    image: 'sum',
    imageID: '',
    ready: false,
    restartCount: 0,
    state: { terminated: { exitCode, finishedAt } },
  };
  const phase = exitCode === 0 ? 'Succeeded' : 'Failed';
  const ended = { ...fresh, status: { ...fresh.status, phase, containerStatuses: [containerStatus] } };
  await cluster.client.update(resources.pods, ended, { subresource: 'status' });
}

const indexOf = (pod: Pod): string =>
  pod.metadata.annotations?.['batch.kubernetes.io/job-completion-index'] ?? '';

describe('job', () => {
  it('runs to its completions, parallelism at a time, and counts each pod once', async () => {
    await create({ completions: 5, parallelism: 2 });
    for (let left = 5; left > 0; left--) {
      const [first] = await runningAre(Math.min(2, left));
      await end(first, 0);
      await cluster.eventually('counted', async () => (await status()).succeeded === 6 - left);
    }
    expect(await ends('Complete')).toBe('CompletionsReached: Reached expected number of succeeded pods');
    expect(await status()).toMatchObject({ succeeded: 5, uncountedTerminatedPods: {} });
    expect((await status()).completionTime).toBeDefined();
    expect(await cluster.pods()).toHaveLength(5);
    expect((await cluster.pods()).flatMap(({ metadata }) => metadata.finalizers ?? [])).toEqual([]);
  });

  it('counts a pod that somebody deletes right after its end', async () => {
    await create({ completions: 1 });
    const [pod] = await runningAre(1);
    await end(pod, 0);
    await cluster.finish(pod as Pod).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    });
    await ends('Complete');
    expect((await status()).succeeded).toBe(1);
  });

  it('tries again after 10 s, 20 s ... and gives up at its backoff limit', async () => {
    await create({ backoffLimit: 2 });
    let failedMs = 0;
    for (const waitMs of [0, 10_000, 20_000]) {
      const [pod] = await runningAre(1);
      expect(cluster.clock.nowMs() - failedMs).toBeGreaterThanOrEqual(waitMs);
      await end(pod, 1);
      failedMs = Math.floor(cluster.clock.nowMs() / 1000) * 1000;
      await cluster.eventually('noticed', async () => ((await status()).active ?? 0) === 0);
      await cluster.clock.advance(waitMs + 9_000);
    }
    expect(await ends('Failed')).toBe('BackoffLimitExceeded: Job has reached the specified backoff limit');
    expect((await status()).failed).toBe(3);
  });

  it('gives every index a pod of its own until it has succeeded', async () => {
    await create({ completions: 3, parallelism: 3, completionMode: 'Indexed' });
    const pods = (await runningAre(3)).toSorted((a, b) => (indexOf(a) < indexOf(b) ? -1 : 1));
    expect(pods.map(indexOf)).toEqual(['0', '1', '2']);
    expect(pods.map(({ spec }) => spec.hostname)).toEqual(['sums-0', 'sums-1', 'sums-2']);
    expect(pods[1]?.metadata.name).toMatch(/^sums-1-/);
    expect(pods[0]?.spec.containers[0]?.env?.[0]?.name).toBe('JOB_COMPLETION_INDEX');
    await end(pods[0], 0);
    await end(pods[2], 0);
    await cluster.eventually('two', async () => (await status()).completedIndexes === '0,2');
    await end(pods[1], 1);
    await cluster.clock.advance(11_000);
    const [again] = await runningAre(1);
    expect(indexOf(again as Pod)).toBe('1');
    await end(again, 0);
    await ends('Complete');
    expect(await status()).toMatchObject({ succeeded: 3, failed: 1, completedIndexes: '0-2' });
  });

  it('fails an index at its own limit, and the job when the others are done', async () => {
    await create({ completions: 2, parallelism: 2, completionMode: 'Indexed', backoffLimitPerIndex: 1 });
    const first = await runningAre(2);
    await end(
      first.find((pod) => indexOf(pod) === '0'),
      1,
    );
    await cluster.clock.advance(11_000);
    const second = await runningAre(2);
    await end(
      second.find((pod) => indexOf(pod) === '0'),
      1,
    );
    await cluster.eventually('index 0 failed', async () => (await status()).failedIndexes === '0');
    await end(
      second.find((pod) => indexOf(pod) === '1'),
      0,
    );
    expect(await ends('Failed')).toBe('FailedIndexes: Job has failed indexes');
    expect(await status()).toMatchObject({ succeeded: 1, failed: 2, completedIndexes: '1' });
  });

  it('succeeds early by its success policy and removes the rest', async () => {
    const successPolicy = { rules: [{ succeededIndexes: '0' }] };
    await create({ completions: 3, parallelism: 3, completionMode: 'Indexed', successPolicy });
    const pods = await runningAre(3);
    await end(
      pods.find((pod) => indexOf(pod) === '0'),
      0,
    );
    await cluster.eventually('others gone', async () => {
      for (const pod of await cluster.pods()) if (pod.metadata.deletionTimestamp) await cluster.finish(pod);
      return (await running()).length === 0;
    });
    expect(await ends('Complete')).toBe('SuccessPolicy: Matched rules at index 0');
  });

  it('judges failures by its policy', async () => {
    await create({
      backoffLimit: 0,
      podFailurePolicy: {
        rules: [
          { action: 'Ignore', onExitCodes: { operator: 'In', values: [7] } },
          { action: 'FailJob', onExitCodes: { containerName: 'main', operator: 'In', values: [42] } },
        ],
      },
    });
    const [ignored] = await runningAre(1);
    await end(ignored, 7);
    await cluster.clock.advance(11_000);
    const [fatal] = await runningAre(1);
    expect((await status()).failed ?? 0).toBe(0);
    await end(fatal, 42);
    expect(await ends('Failed')).toBe(
      `PodFailurePolicy: Container main for pod default/${fatal?.metadata.name} failed with exit code 42 ` +
        'matching FailJob rule at index 1',
    );
  });

  it('stops its pods while suspended and starts its clock anew', async () => {
    await create({ suspend: true, completions: 1, activeDeadlineSeconds: 60 });
    await cluster.eventually('suspended', () => condition('Suspended'));
    expect(await cluster.pods()).toEqual([]);
    await update({ suspend: false });
    await runningAre(1);
    const startTime = (await status()).startTime;
    await update({ suspend: true });
    await cluster.eventually('stopped', async () => (await running()).length === 0);
    await cluster.clock.advance(120_000);
    for (const pod of await cluster.pods()) await cluster.finish(pod);
    await update({ suspend: false });
    await runningAre(1);
    expect((await status()).startTime).not.toBe(startTime);
    expect((await status()).failed ?? 0).toBe(0);
  });

  it('ends at its deadline', async () => {
    await create({ activeDeadlineSeconds: 30 });
    const [pod] = await runningAre(1);
    await cluster.clock.advance(31_000);
    await cluster.eventually('stopped', async () => (await running()).length === 0);
    await cluster.finish(pod as Pod).catch(() => {});
    expect(await ends('Failed')).toBe('DeadlineExceeded: Job was active longer than specified deadline');
  });

  it('takes pods away when parallelism shrinks', async () => {
    await create({ completions: 9, parallelism: 4 });
    await runningAre(4);
    await update({ parallelism: 1 });
    await cluster.eventually('one left', async () => (await running()).length === 1);
    for (const pod of await cluster.pods()) if (pod.metadata.deletionTimestamp) await cluster.finish(pod);
    expect((await status()).failed ?? 0).toBe(0);
  });

  it('goes, its pods first, when its time to live is over', async () => {
    await create({ completions: 1, ttlSecondsAfterFinished: 100 });
    const [pod] = await runningAre(1);
    await end(pod, 0);
    await ends('Complete');
    await cluster.clock.advance(90_000);
    expect((await get()).metadata.deletionTimestamp).toBeUndefined();
    await cluster.clock.advance(11_000);
    await cluster.eventually('job and pods gone', async () => {
      const { items } = await cluster.client.list(resources.jobs, { namespace: 'default' });
      return items.length === 0 && (await cluster.pods()).length === 0;
    });
  });

  it('lets the pods of a deleted job go', async () => {
    await create({ completions: 2, parallelism: 2 });
    await runningAre(2);
    await cluster.client.delete(resources.jobs, 'sums', 'default');
    await cluster.eventually('pods gone', async () => {
      for (const pod of await cluster.pods()) if (pod.metadata.deletionTimestamp) await cluster.finish(pod);
      return (await cluster.pods()).length === 0;
    });
  });
});
