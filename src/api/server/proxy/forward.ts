import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { messageOf } from '../../../base/fault.ts';
import { pump } from '../http/byte-sink.ts';
import type { Reply } from '../http/reply.ts';
import { PROXY_CONNECT_TIMEOUT_MS } from '../limits.ts';
import { StatusError, unavailable } from '../status.ts';
import type { Target } from './service-target.ts';

/** A request as it goes on. */
export interface Forward extends Target {
  /** Whom to trust and who we are; undefined = without TLS. */
  readonly tls: ConnectionOptions | undefined;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Never forwarded: they belong to one connection, or say who asks us. */
export const DROPPED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'http2-settings',
  'content-length',
  'authorization',
  'cookie',
]);

/** Connections that are kept for the next request. */
export class ProxyAgents implements Disposable {
  readonly plain = new HttpAgent({ keepAlive: true, maxSockets: 256 });
  readonly secure = new HttpsAgent({ keepAlive: true, maxSockets: 256 });

  [Symbol.dispose](): void {
    this.plain.destroy();
    this.secure.destroy();
  }
}

/** One request and its answer. Throws a 503 Status when nobody answers. */
export async function exchange(
  forward: Forward,
  body: Uint8Array,
  signal: AbortSignal,
  agents: ProxyAgents,
): Promise<Reply> {
  const { host, port, method, path, headers, tls } = forward;
  const options = { host, port, method, path, headers, signal, timeout: PROXY_CONNECT_TIMEOUT_MS };
  const request = tls
    ? httpsRequest({ ...options, ...tls, agent: agents.secure })
    : httpRequest({ ...options, agent: agents.plain });
  if (body.length > 0) request.setHeader('content-length', body.length);
  // Silence before the answer is a fault; once it has begun it may take its time.
  request.once('timeout', () => request.destroy(new Error('no answer in time')));
  request.end(body);
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    request.removeAllListeners('timeout');
    return replyOf(response);
  } catch (error) {
    throw new StatusError(503, 'ServiceUnavailable', `error trying to reach service: ${messageOf(error)}`);
  }
}

function replyOf(response: IncomingMessage): Reply {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined && !DROPPED.has(name)) {
      headers[name] = Array.isArray(value) ? value.join(', ') : value;
    }
  }
  return {
    status: response.statusCode ?? 502,
    headers,
    body: async (sink) => {
      sink.closed.addEventListener('abort', () => response.destroy(), { once: true });
      response.on('error', () => response.destroy());
      await pump(response as AsyncIterable<Uint8Array>, sink);
    },
  };
}

/** An upgraded connection: bytes go through as they come. */
export async function tunnel(
  protocol: string,
  forward: Forward,
  client: Duplex,
  head: Uint8Array,
): Promise<void> {
  const { host, port, tls } = forward;
  const to = { host, port, timeout: PROXY_CONNECT_TIMEOUT_MS };
  const target = tls ? connectTls({ ...to, ...tls }) : connect(to);
  target.once('timeout', () => target.destroy(new Error('no connection in time')));
  try {
    await once(target, tls ? 'secureConnect' : 'connect');
  } catch (error) {
    throw unavailable(`error trying to reach service: ${messageOf(error)}`);
  }
  target.setTimeout(0);
  target.removeAllListeners('timeout');
  const lines = Object.entries({
    ...forward.headers,
    connection: 'Upgrade',
    upgrade: protocol,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  target.write(`${forward.method} ${forward.path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  if (head.length > 0) target.write(head);
  const close = (): void => {
    target.destroy();
    client.destroy();
  };
  for (const side of [target, client]) side.on('error', close).on('close', close);
  target.pipe(client);
  client.pipe(target);
}
