import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { Tracker } from '../../../endpoints/tracker.ts';
import { openServer } from '../support/server.ts';

const TRIGGER = 'endpoints.kubernetes.io/last-change-trigger-time';

function slice(triggerMs: number, address: string): KubeObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: 'ns',
      name: 'db-1',
      labels: { 'kubernetes.io/service-name': 'db' },
      annotations: { [TRIGGER]: new Date(triggerMs).toISOString() },
    },
    addressType: 'IPv4',
    ports: [{ port: 80 }],
    endpoints: [{ addresses: [address] }],
  } as KubeObject;
}

const DB = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'ns', name: 'db', resourceVersion: '7' },
  spec: { clusterIP: 'None', ports: [{ port: 80 }] },
} as KubeObject;

describe('the time until a change is visible', () => {
  it('is counted from arrival and from the trigger time, once a change', async () => {
    let ms = 0;
    const clock = { ...systemClock, nowMs: () => 1_700_000_000_000 + ms, monotonicMs: () => ms };
    const cluster = new Tracker({ log: silentLogger, clock });
    cluster.upsert(DB);
    cluster.upsert(slice(clock.nowMs() - 60_000, '10.0.0.1'));
    cluster.synced('v1', 'Service');
    cluster.synced('discovery.k8s.io/v1', 'EndpointSlice');
    cluster.flush();
    await using on = await openServer('. {\n kubernetes k\n}', { cluster, clock });
    const count = async (name: string): Promise<number> =>
      Number(new RegExp(`^${name}_count.* (\\d+)$`, 'm').exec(await on.metrics.metrics())?.[1] ?? 0);

    ms += 2000;
    cluster.upsert(slice(clock.nowMs() - 1500, '10.0.0.2'));
    ms += 3;
    cluster.flush();
    expect(await count('weft_dns_change_to_visible_seconds')).toBe(1);
    expect(await count('coredns_kubernetes_dns_programming_duration_seconds')).toBe(1);
    const line = on.logs.find(({ event }) => event === 'service visible');
    expect(line?.fields).toMatchObject({
      service: 'ns/db',
      resourceVersion: '7',
      sinceArrivalMs: 3,
      programmingMs: 1503,
    });

    // A relabelled service: its slices' trigger is an old one.
    cluster.upsert({ ...DB, metadata: { ...DB.metadata, labels: { a: 'b' } } });
    cluster.flush();
    expect(await count('weft_dns_change_to_visible_seconds')).toBe(2);
    expect(await count('coredns_kubernetes_dns_programming_duration_seconds')).toBe(1);
  });
});
