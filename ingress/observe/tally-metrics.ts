import type { Registry } from '../../src/base/metrics.ts';
import type { Distribution } from './distribution.ts';
import type { Tallies, Tally } from './tallies.ts';

interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

type Registered = Parameters<Registry['registerMetric']>[0];

/**
 * Shows tallies as ingress-nginx's metrics. They are read when somebody asks, and their sums are exact; counting a
 * request costs nothing but the tally.
 */
export function registerTallies(registry: Registry, tallies: Tallies): void {
  const histogram = (name: string, help: string, pick: (tally: Tally) => Distribution): void =>
    register(registry, { name, help, type: 'histogram' }, () => histogramSamples(name, tallies, pick));
  register(
    registry,
    { name: 'nginx_ingress_controller_requests', help: 'Client requests', type: 'counter' },
    () => [...tallies.all()].map(({ labels, requestSeconds }) => ({ labels, value: requestSeconds.count })),
  );
  histogram(
    'nginx_ingress_controller_request_duration_seconds',
    'From the first byte of a request to the last byte of its answer',
    (tally) => tally.requestSeconds,
  );
  histogram(
    'nginx_ingress_controller_response_duration_seconds',
    'From asking an endpoint to the last byte of its answer',
    (tally) => tally.responseSeconds,
  );
  histogram(
    'nginx_ingress_controller_header_duration_seconds',
    'From asking an endpoint to the head of its answer',
    (tally) => tally.headerSeconds,
  );
  histogram(
    'nginx_ingress_controller_connect_duration_seconds',
    'Until a connection to the endpoint was there',
    (tally) => tally.connectSeconds,
  );
  histogram(
    'nginx_ingress_controller_request_size',
    'Bytes of request bodies',
    (tally) => tally.requestBytes,
  );
  histogram(
    'nginx_ingress_controller_response_size',
    'Bytes of response bodies',
    (tally) => tally.responseBytes,
  );
}

function register(
  registry: Registry,
  { name, help, type }: { name: string; help: string; type: 'counter' | 'histogram' },
  samples: () => readonly Sample[],
): void {
  const metric = {
    name,
    help,
    type,
    aggregator: 'sum',
    get: () => Promise.resolve({ name, help, type, aggregator: 'sum', values: samples() }),
    reset: () => {},
  };
  registry.registerMetric(metric as unknown as Registered);
}

function histogramSamples(name: string, tallies: Tallies, pick: (tally: Tally) => Distribution): Sample[] {
  const samples: Sample[] = [];
  for (const tally of tallies.all()) {
    const { labels } = tally;
    const distribution = pick(tally);
    const { bounds, count, sum } = distribution;
    let below = 0;
    bounds.forEach((bound, at) => {
      below += distribution.countAt(at);
      samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: below });
    });
    samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count });
    samples.push({ metricName: `${name}_sum`, labels, value: sum });
    samples.push({ metricName: `${name}_count`, labels, value: count });
  }
  return samples;
}
