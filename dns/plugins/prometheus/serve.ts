import { Registry } from '../../../src/base/metrics.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import type { Peer } from '../../query.ts';
import { HttpEndpoint, pageUrl } from '../../server/http-endpoint.ts';
import { AllFastCounters, FastCounters } from './fast-counters.ts';
import { RequestMetrics } from './metrics.ts';
import { processMetrics } from '../../../src/base/process-metrics.ts';
import { EnabledPlugins } from './server-info.ts';

export interface PrometheusOptions {
  /** What the runtime knows of itself is told too (`runtime_metrics`). */
  readonly runtime: boolean;
}

/** Counts every answer and serves GET /metrics. */
export async function openPrometheus(
  deps: PluginDeps,
  address: Peer,
  options: PrometheusOptions,
): Promise<Plugin> {
  const key = `http ${address.address} ${address.port}`;
  const endpoint = deps.host.shared(key, () => new HttpEndpoint(address));
  const bound = await endpoint.opened();
  const metrics = deps.host.shared('metrics requests', () => new RequestMetrics(deps.metrics));
  const fast = deps.host.shared('metrics fast', () => new AllFastCounters());
  const ours = fast.add(new FastCounters(deps, metrics));
  const registry = options.runtime ? await runtimeMetrics() : processMetrics();
  const page = endpoint.add('/metrics', async () => {
    fast.collect();
    const body = (await deps.metrics.metrics()) + (await registry.metrics());
    return { status: 200, body, contentType: deps.metrics.contentType };
  });
  let enabled: EnabledPlugins | undefined;
  deps.log.info('metrics endpoint', { ...bound });
  return {
    name: 'prometheus',
    page: pageUrl(bound, '/metrics'),
    transparent: true,
    serve: (query, next) => next(query),
    observe: (sent) => metrics.observe(sent),
    opened: () => void (enabled = new EnabledPlugins(deps)),
    [Symbol.asyncDispose]: async () => {
      ours[Symbol.dispose]();
      enabled?.[Symbol.dispose]();
      page[Symbol.dispose]();
      registry.clear();
    },
  };
}

/** Those of the process, and what Node knows of its event loop, heap and garbage collection, as `nodejs_*`. */
async function runtimeMetrics(): Promise<Registry> {
  const { collectDefaultMetrics } = await import('prom-client');
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
