import type { Clock } from '../../base/clock.ts';
import { Counter, Histogram, type Registry } from '../../base/metrics.ts';
import type { HttpExchange } from '../../net/http-exchange.ts';

/** Of client-go, so that dashboards of kube-proxy and CoreDNS find their requests. */
const BUCKETS_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
/** client-go's word for a request without a reply. */
const NO_REPLY = '<error>';

export interface RequestMetricsOptions {
  /** Before the names: `coredns_kubernetes_` where CoreDNS stands; empty elsewhere. */
  readonly prefix: string;
  /** HOST:PORT of the server. */
  readonly host: string;
}

/**
 * Counts requests by method and status, and times them until the head of the reply is there: a watch counts when it
 * begins. The registry is this client's alone, as far as these names go.
 */
export function measuredExchange(
  exchange: HttpExchange,
  { clock, metrics }: { readonly clock: Clock; readonly metrics: Registry },
  { prefix, host }: RequestMetricsOptions,
): HttpExchange {
  const requests = new Counter({
    name: `${prefix}rest_client_requests_total`,
    help: 'Number of HTTP requests, partitioned by status code, method, and host.',
    labelNames: ['code', 'method', 'host'],
    registers: [metrics],
  });
  const duration = new Histogram({
    name: `${prefix}rest_client_request_duration_seconds`,
    help: 'Request latency in seconds. Broken down by verb, and host.',
    labelNames: ['verb', 'host'],
    buckets: BUCKETS_SECONDS,
    registers: [metrics],
  });
  return async (request, signal) => {
    const startMs = clock.monotonicMs();
    const { method } = request;
    let code = NO_REPLY;
    try {
      const reply = await exchange(request, signal);
      code = String(reply.status);
      return reply;
    } finally {
      requests.inc({ code, method, host });
      duration.observe({ verb: method, host }, (clock.monotonicMs() - startMs) / 1000);
    }
  };
}
