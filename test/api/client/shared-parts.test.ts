import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { SharedParts } from '../../../src/api/client/shared-parts.ts';

const pod = (name: string) => ({
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name, labels: { app: 'web', tier: 'front', release: 'stable' } },
  spec: {
    schedulerName: 'default-scheduler',
    containers: [
      {
        name: 'web',
        env: [{ name: 'SETTING', value: 'the same in every pod' }],
        volumeMounts: [{ name: `token-${name}`, mountPath: '/var/run/secrets' }],
      },
    ],
  },
});
const share = (parts: SharedParts, name: string) => parts.share(pod(name));

const OBJECTS = 5_000;

/** What the work leaves in memory. */
function heapBytes(work: () => void): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  const before = process.memoryUsage().heapUsed;
  work();
  collect();
  return process.memoryUsage().heapUsed - before;
}

describe('equal parts of objects', () => {
  it('are one object in memory, what differs stays apart, and nothing changes', () => {
    const parts = new SharedParts();
    const [first, second] = [share(parts, 'a'), share(parts, 'b')];
    expect(second.metadata.labels).toBe(first.metadata.labels);
    const [one, other] = [first.spec.containers[0], second.spec.containers[0]];
    expect(other?.env).toBe(one?.env);
    expect(other?.volumeMounts).not.toBe(one?.volumeMounts);
    expect([first, second]).toEqual([pod('a'), pod('b')]);
  });

  it('are texts, too: one copy in memory for all objects', () => {
    const parts = new SharedParts();
    const fields = Array.from({ length: 10 }, (_, i) => [
      `field${i}`,
      `the text of field ${i} `.padEnd(60, '.'),
    ]);
    const metadata = { namespace: 'n'.repeat(60), creationTimestamp: 't'.repeat(60) };
    const object = JSON.stringify({ metadata, status: Object.fromEntries(fields) });
    const held: unknown[] = [];
    const bytes = heapBytes(() => {
      for (let i = 0; i < OBJECTS; i++) held.push(parts.share(JSON.parse(object)));
    });
    // Twelve texts of 76 bytes each are 912.
    expect(bytes / held.length).toBeLessThan(600);
    expect(held.at(-1)).toEqual(JSON.parse(object));
  });

  it('are remembered up to a bound', () => {
    const parts = new SharedParts(4);
    const first = share(parts, 'a');
    for (let i = 0; i < 9; i++) {
      parts.share({
        metadata: { name: 'x' },
        status: { addresses: [`10.0.0.${i}`, 'filler filler'] },
      } as never);
    }
    expect(share(parts, 'b').metadata.labels).not.toBe(first.metadata.labels);
  });
});
