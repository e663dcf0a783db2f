import { Counter, Gauge, Histogram, type Registry } from '../../base/metrics.ts';
import type { WatchHub } from './cache/hub.ts';
import type { FairQueue } from './fairness.ts';
import type { Observation } from './handler.ts';

/** Counts requests under upstream's metric names. */
export function requestMetrics(
  registry: Registry,
  sources: { readonly hub: WatchHub; readonly queue: FairQueue },
  nowMs: () => number,
): (observation: Observation) => void {
  const total = new Counter({
    name: 'apiserver_request_total',
    help: 'Requests by verb, resource and code',
    labelNames: ['verb', 'group', 'version', 'resource', 'subresource', 'code'],
    registers: [registry],
  });
  const duration = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Time until the reply is known; watches until they start',
    labelNames: ['verb'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  const gauge = (name: string, help: string, read: () => number): void => {
    void new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  gauge('apiserver_current_inflight_requests', 'Requests in execution', () => sources.queue.inFlight);
  gauge('apiserver_flowcontrol_current_inqueue_requests', 'Requests that wait', () => sources.queue.waiting);
  gauge('apiserver_longrunning_requests', 'Open watches', () => {
    let count = 0;
    for (const cache of sources.hub.caches()) count += cache.watcherCount;
    return count;
  });
  gauge('apiserver_storage_objects', 'Objects held', () => {
    let count = 0;
    for (const cache of sources.hub.caches()) count += cache.size;
    return count;
  });
  return ({ info, status, startedMs, request }) => {
    const known = info?.isResource && status !== 404;
    const verb = known ? info.verb.toUpperCase() : request.method;
    total.inc({
      verb,
      group: known ? info.group : '',
      version: known ? info.version : '',
      resource: known ? info.resource : '',
      subresource: known ? info.subresource : '',
      code: String(status),
    });
    duration.observe({ verb }, (nowMs() - startedMs) / 1000);
  };
}
