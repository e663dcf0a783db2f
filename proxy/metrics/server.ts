import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../src/base/fault.ts';
import type { Registry } from '../../src/base/metrics.ts';
import { processMetrics } from '../../src/base/process-metrics.ts';
import { openHttpListener, type HttpListener } from '../http-listener.ts';

export interface MetricsServerDeps {
  readonly registry: Registry;
  readonly mode: () => string;
  /** The KubeProxyConfiguration in force, for /configz. */
  readonly config: () => Readonly<Record<string, unknown>>;
  readonly isReady: () => boolean;
}

/** kube-proxy's second listener: /metrics, /proxyMode, /configz, /healthz and weft's /readyz. */
export async function openMetricsServer(
  deps: MetricsServerDeps,
  options: { readonly address: string | undefined; readonly port: number },
): Promise<HttpListener> {
  const process = processMetrics();
  return await openHttpListener((request, response) => void reply(deps, process, request, response), options);
}

async function reply(
  deps: MetricsServerDeps,
  process: Registry,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url?.split('?')[0];
  try {
    if (path === '/metrics') {
      const text = (await Promise.all([deps.registry, process].map((each) => each.metrics()))).join('\n');
      response.writeHead(200, { 'Content-Type': deps.registry.contentType }).end(text);
    } else if (path === '/proxyMode') plain(response, 200, deps.mode());
    else if (path === '/configz')
      response
        .writeHead(200, { 'Content-Type': 'application/json' })
        .end(JSON.stringify({ 'kubeproxy.config.k8s.io': deps.config() }));
    else if (path === '/healthz') plain(response, 200, 'ok');
    else if (path === '/readyz')
      plain(response, deps.isReady() ? 200 : 503, deps.isReady() ? 'ok' : 'not ready');
    else plain(response, 404, '404 page not found\n');
  } catch (error) {
    plain(response, 500, messageOf(error));
  }
}

function plain(response: ServerResponse, status: number, text: string): void {
  if (!response.headersSent) response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(text);
}
