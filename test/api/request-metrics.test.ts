import { expect, test } from 'vitest';
import { measuredExchange } from '../../src/api/client/request-metrics.ts';
import { Registry } from '../../src/base/metrics.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('requests are counted under the names of client-go, those without a reply too', async () => {
  const metrics = new Registry();
  const clock = new FakeClock();
  const exchange = measuredExchange(
    async ({ target }) => {
      await clock.advance(300);
      if (target === '/gone') throw new Error('connection refused');
      return { status: 200, headers: {}, body: (async function* () {})() };
    },
    { clock, metrics },
    { prefix: 'coredns_kubernetes_', host: '192.0.2.10:6443' },
  );
  const ask = (target: string): Promise<unknown> =>
    exchange({ method: 'GET', target, headers: {} }, new AbortController().signal);
  await ask('/version');
  await expect(ask('/gone')).rejects.toThrow('refused');
  const text = await metrics.metrics();
  const labels = 'method="GET",host="192.0.2.10:6443"';
  for (const line of [
    `requests_total{code="200",${labels}} 1`,
    `requests_total{code="<error>",${labels}} 1`,
    'request_duration_seconds_bucket{le="0.25",verb="GET",host="192.0.2.10:6443"} 0',
    'request_duration_seconds_bucket{le="0.5",verb="GET",host="192.0.2.10:6443"} 2',
  ])
    expect(text).toContain(`coredns_kubernetes_rest_client_${line}`);
});
