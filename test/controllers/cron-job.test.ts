import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resources } from '../../src/api/client/resources.ts';
import type { CronJob, Job } from '../../src/api/kinds/batch.ts';
import type { Event } from '../../src/api/kinds/event.ts';
import { Cluster } from './cluster.ts';

const MINUTE_MS = 60_000;
let cluster: Cluster;

beforeEach(async () => {
  // The clock starts at midnight, 2026-01-01 UTC.
  cluster = await Cluster.open({ enabled: ['cron-job', 'garbage-collector'] });
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function create(spec: Partial<CronJob['spec']>): Promise<void> {
  const template = { spec: { restartPolicy: 'Never' as const, containers: [{ name: 'main', image: 'm' }] } };
  const cron: CronJob = {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'tidy', namespace: 'default' },
    spec: {
      schedule: '*/10 * * * *',
      jobTemplate: { metadata: { labels: { made: 'by-cron' } }, spec: { template } },
      ...spec,
    },
  };
  await cluster.client.create(resources.cronJobs, cron);
}

const get = (): Promise<CronJob> => cluster.client.get<CronJob>(resources.cronJobs, 'tidy', 'default');
const jobs = async (): Promise<readonly Job[]> =>
  (await cluster.client.list<Job>(resources.jobs, { namespace: 'default' })).items.filter(
    ({ metadata }) => !metadata.deletionTimestamp,
  );
const jobsAre = (count: number): Promise<readonly Job[]> =>
  cluster.eventually(`${count} jobs`, async () => {
    const found = await jobs();
    const active = found.filter((job) => !job.status?.conditions).length;
    return found.length === count && ((await get()).status?.active ?? []).length === active && found;
  });

async function end(job: Job | undefined, type: 'Complete' | 'Failed'): Promise<void> {
  if (!job) throw new Error('no such job');
  const time = new Date(cluster.clock.nowMs()).toISOString().replace(/\.\d+Z/, 'Z');
  const target = type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  const conditions = [target, type].map((name) => ({ type: name, status: 'True', lastTransitionTime: time }));
  const times = { startTime: time, ...(type === 'Complete' && { completionTime: time }) };
  const status = { ...job.status, ...times, conditions };
  await cluster.client.update(resources.jobs, { ...job, status } as Job, { subresource: 'status' });
}

async function events(reason: string): Promise<readonly Event[]> {
  const { items } = await cluster.client.list<Event>(resources.events, { namespace: 'default' });
  return items.filter((event) => event.reason === reason);
}

describe('cron job', () => {
  it('makes a job for each time, named by its minute, and keeps track of it', async () => {
    await create({});
    await cluster.clock.advance(9 * MINUTE_MS);
    expect(await jobs()).toEqual([]);
    await cluster.clock.advance(MINUTE_MS + 1_000);
    const [job] = await jobsAre(1);
    const minute = Date.UTC(2026, 0, 1, 0, 10) / MINUTE_MS;
    expect(job?.metadata).toMatchObject({
      name: `tidy-${minute}`,
      labels: { made: 'by-cron' },
      annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-01T00:10:00Z' },
      ownerReferences: [{ kind: 'CronJob', name: 'tidy', controller: true }],
    });
    expect((await get()).status?.lastScheduleTime).toBe('2026-01-01T00:10:00Z');
    await end(job, 'Complete');
    await cluster.eventually('success seen', async () => (await get()).status?.lastSuccessfulTime);
    expect((await get()).status?.active ?? []).toEqual([]);
    await cluster.clock.advance(10 * MINUTE_MS);
    await jobsAre(2);
  });

  it('keeps its zone', async () => {
    await create({ schedule: '30 9 * * *', timeZone: 'Asia/Kolkata' });
    await cluster.clock.advance(4 * 60 * MINUTE_MS + 1_000);
    const [job] = await jobsAre(1);
    expect(job?.metadata.annotations).toEqual({
      'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-01T04:00:00Z',
    });
  });

  it('Forbid waits for the running job, and starts the newest missed time when it has ended', async () => {
    await create({ concurrencyPolicy: 'Forbid' });
    await cluster.clock.advance(10 * MINUTE_MS + 1_000);
    const [first] = await jobsAre(1);
    await cluster.clock.advance(25 * MINUTE_MS);
    await jobsAre(1);
    await cluster.eventually('said so', async () => (await events('JobAlreadyActive')).length > 0);
    await end(first, 'Complete');
    const both = await jobsAre(2);
    const times = both.map(({ metadata }) => Object.values(metadata.annotations ?? {})[0]);
    expect(times).toEqual(['2026-01-01T00:10:00Z', '2026-01-01T00:30:00Z']);
  });

  it('Replace ends the running job', async () => {
    await create({ concurrencyPolicy: 'Replace' });
    await cluster.clock.advance(10 * MINUTE_MS + 1_000);
    const [first] = await jobsAre(1);
    await cluster.clock.advance(10 * MINUTE_MS);
    const [second] = await jobsAre(1);
    expect(second?.metadata.uid).not.toBe(first?.metadata.uid);
  });

  it('keeps no more finished jobs than its limits', async () => {
    await create({ successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 1 });
    for (const type of ['Complete', 'Failed', 'Complete', 'Failed'] as const) {
      await cluster.clock.advance(10 * MINUTE_MS + 1_000);
      const job = await cluster.eventually('a running one', async () =>
        (await jobs()).find((one) => !one.status?.conditions),
      );
      await end(job, type);
    }
    await cluster.eventually('two left', async () => (await jobs()).length === 2);
    const types = (await jobs()).map(({ status }) => status?.conditions?.at(-1)?.type);
    expect(types).toEqual(['Complete', 'Failed']);
  });

  it('starts nothing while suspended, and then no time beyond its deadline', async () => {
    await create({ suspend: true, startingDeadlineSeconds: 120 });
    await cluster.clock.advance(65 * MINUTE_MS);
    expect(await jobs()).toEqual([]);
    await cluster.client.patch(resources.cronJobs, 'tidy', 'default', 'merge', { spec: { suspend: false } });
    await cluster.clock.advance(MINUTE_MS);
    expect(await jobs()).toEqual([]);
    await cluster.clock.advance(5 * MINUTE_MS);
    await jobsAre(1);
  });
});
