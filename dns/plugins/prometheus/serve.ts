import type { Peer, Plugin, PluginDeps } from '../../plugin.ts';
import { HttpEndpoint } from '../../server/http-endpoint.ts';
import { FastCounters } from './fast-counters.ts';
import { RequestMetrics } from './metrics.ts';

/** Counts every answer and serves GET /metrics. */
export async function openPrometheus(deps: PluginDeps, address: Peer): Promise<Plugin> {
  const key = `http ${address.address} ${address.port}`;
  const endpoint = deps.host.shared(key, () => new HttpEndpoint(address));
  const bound = await endpoint.opened();
  const metrics = deps.host.shared('metrics requests', () => new RequestMetrics(deps.metrics));
  const fast = new FastCounters(metrics);
  const page = endpoint.add('/metrics', async () => {
    fast.collect(deps.host.fastCounts());
    return { status: 200, body: await deps.metrics.metrics(), contentType: deps.metrics.contentType };
  });
  deps.log.info('metrics endpoint', { ...bound });
  return {
    name: 'prometheus',
    transparent: true,
    serve: (query, next) => next(query),
    observe: (sent) => metrics.observe(sent),
    [Symbol.asyncDispose]: async () => {
      fast.collect(deps.host.fastCounts());
      page[Symbol.dispose]();
    },
  };
}
