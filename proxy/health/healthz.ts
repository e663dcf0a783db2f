import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HealthReport, ProxyHealth } from './health.ts';
import { openHttpListener, type HttpListener } from '../http-listener.ts';

export interface HealthzDeps {
  readonly health: ProxyHealth;
  /** Counts replies: kubeproxy_proxy_healthz_total and _livez_total. */
  readonly count?: (path: 'healthz' | 'livez', status: number) => void;
  /** Whether everything beside the proxy is up too, for /readyz. */
  readonly isReady?: () => boolean;
}

/**
 * Serves /healthz (may load balancers use this node?), /livez (is the proxy itself well?) and weft's /readyz (does
 * every part of the daemon serve?).
 */
export async function openHealthz(
  deps: HealthzDeps,
  options: { readonly address: string | undefined; readonly port: number },
): Promise<HttpListener> {
  return await openHttpListener((request, response) => reply(deps, request, response), options);
}

function reply(deps: HealthzDeps, request: IncomingMessage, response: ServerResponse): void {
  const { health, count, isReady } = deps;
  const path = request.url?.split('?')[0];
  if (path !== '/healthz' && path !== '/livez' && path !== '/readyz') {
    response.writeHead(404).end();
    return;
  }
  const report = health.report();
  const well =
    report.healthy &&
    (path !== '/healthz' || report.nodeEligible) &&
    (path !== '/readyz' || isReady?.() !== false);
  const status = well ? 200 : 503;
  if (path !== '/readyz') count?.(path === '/healthz' ? 'healthz' : 'livez', status);
  response
    .writeHead(status, { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' })
    .end(JSON.stringify(body(report, path, well)));
}

/** Who is well says that it is up to date now, who is not says since when. */
function body(report: HealthReport, path: string, well: boolean): Partial<HealthReport> {
  const { nodeEligible, ...rest } = report;
  const lastUpdated = well ? report.currentTime : report.lastUpdated;
  return { ...rest, lastUpdated, ...(path !== '/livez' && { nodeEligible }) };
}
