import { describe, expect, it } from 'vitest';
import { ExitError } from '../../src/cli/context.ts';
import { byLogging } from '../../src/cli/objects/log-pod.ts';
import { logQuery } from '../../src/cli/objects/logs.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';

type PodStatus = NonNullable<Pod['status']>;

describe('weft logs', () => {
  const at = (minute: number): string => `2026-01-01T00:0${minute}:00Z`;
  const pod = (name: string, created: number, status: PodStatus = {}, nodeName = 'alpha'): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', creationTimestamp: at(created) },
    spec: { containers: [{ name: 'web', image: 'web' }], nodeName },
    status,
  });
  const ready = (since: number): PodStatus => ({
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: at(since) }],
  });

  it('chooses the pod that has most to say: running, ready for long, restarted, old', () => {
    const restarts = { name: 'web', restartCount: 3 } as NonNullable<PodStatus['containerStatuses']>[number];
    const pods = [
      pod('nowhere', 0, {}, ''),
      pod('pending', 0, { phase: 'Pending' }),
      pod('young', 5, { phase: 'Running' }),
      pod('old', 1, { phase: 'Running' }),
      pod('restarted', 6, { phase: 'Running', containerStatuses: [restarts] }),
      pod('ready-late', 1, ready(8)),
      pod('ready-early', 2, ready(3)),
    ];
    expect(pods.toSorted(byLogging).map(({ metadata }) => metadata.name)).toEqual([
      'ready-early',
      'ready-late',
      'restarted',
      'old',
      'young',
      'pending',
      'nowhere',
    ]);
  });

  it.each([
    [{}, ''],
    [{ tail: '20', follow: true }, '?follow=true&tailLines=20'],
    [{ since: '5m', container: 'web' }, '?container=web&sinceSeconds=300'],
  ])('turns %j into %s', (flags, query) => {
    expect(logQuery(flags)).toBe(query);
  });

  it.each([{ tail: 'all' }, { since: '5 minutes' }])('refuses %j', (flags) => {
    expect(() => logQuery(flags)).toThrow(ExitError);
  });
});
