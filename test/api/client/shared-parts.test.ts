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
