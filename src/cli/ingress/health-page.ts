import type { IncomingMessage, ServerResponse } from 'node:http';
import { type HttpListener, openHttpListener } from '../../../proxy/http-listener.ts';
import { messageOf } from '../../base/fault.ts';
import type { Registry } from '../../base/metrics.ts';
import { listenFault } from '../../net/listen-fault.ts';

interface HealthPageDeps {
  readonly registry: Registry;
  readonly isReady: () => boolean;
}

/** A listener for /metrics, /healthz (alive) and /readyz (serving). Rejects with Fault LISTEN_FAILED. */
export async function openHealthPage(
  deps: HealthPageDeps,
  options: { readonly address: string | undefined; readonly port: number },
): Promise<HttpListener> {
  try {
    return await openHttpListener((request, response) => void answer(deps, request, response), options);
  } catch (cause) {
    throw listenFault({ address: options.address ?? '::', port: options.port }, cause);
  }
}

async function answer(
  { registry, isReady }: HealthPageDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url?.split('?')[0];
  try {
    if (path === '/metrics') {
      const text = await registry.metrics();
      response.writeHead(200, { 'Content-Type': registry.contentType }).end(text);
    } else if (path === '/healthz') plain(response, 200, 'ok');
    else if (path === '/readyz') plain(response, isReady() ? 200 : 503, isReady() ? 'ok' : 'not ready');
    else plain(response, 404, 'not found');
  } catch (error) {
    plain(response, 500, messageOf(error));
  }
}

function plain(response: ServerResponse, status: number, text: string): void {
  if (!response.headersSent) response.writeHead(status, { 'Content-Type': 'text/plain' });
  response.end(`${text}\n`);
}
