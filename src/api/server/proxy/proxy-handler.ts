import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { messageOf } from '../../../base/fault.ts';
import { joinHostPort } from '../../../net/ip.ts';
import { numberAt, objectAt, objectsAt, stringAt } from '../../kinds/json-value.ts';
import type { Reply } from '../http/reply.ts';
import { PROXY_CONNECT_TIMEOUT_MS } from '../limits.ts';
import { badRequest, notFound, StatusError, unavailable } from '../status.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import type { Call } from '../verbs/write.ts';
import { isForbiddenTarget } from './forbidden.ts';
import { serviceTarget, type Target } from './service-target.ts';

/** `[scheme:]name[:port]`, as the name of a proxy path is written. */
export interface ProxyName {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  readonly port: string;
}

export function parseProxyName(text: string): ProxyName | undefined {
  const parts = text.split(':');
  const hasScheme = parts[0] === 'http' || parts[0] === 'https' || (parts.length === 3 && parts[0] === '');
  const [scheme, name = '', port = ''] =
    parts.length === 3 || (hasScheme && parts.length === 2) ? parts : ['http', ...parts];
  if (parts.length > 3 || name === '') return undefined;
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port };
}

/** Never forwarded: they belong to one connection, or say who asks us. */
const DROPPED: ReadonlySet<string> = new Set([
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

/** pods|services|nodes/NAME/proxy/PATH: the request goes on to what stands behind the name, and its answer comes back. */
export function proxyHandler(): { handler: SubresourceHandler; agents: Disposable } {
  const plain = new HttpAgent({ keepAlive: true, maxSockets: 256 });
  // Certificates behind the proxy are the pods' own: upstream does not check them either.
  const secure = new HttpsAgent({ keepAlive: true, maxSockets: 256, rejectUnauthorized: false });
  const agents = {
    [Symbol.dispose]: () => {
      plain.destroy();
      secure.destroy();
    },
  };
  return { agents, handler: (call) => proxy(call, { plain, secure }) };
}

interface Agents {
  readonly plain: HttpAgent;
  readonly secure: HttpsAgent;
}

async function proxy(call: Call, agents: Agents): Promise<Reply | undefined> {
  const { request, info } = call;
  const wanted = parseProxyName(info.name);
  if (!wanted) throw badRequest(`invalid ${info.resource} request ${JSON.stringify(info.name)}`);
  const path = pathBehind(request.path);
  if (path === '' && (request.method === 'GET' || request.method === 'HEAD')) {
    const query = request.query.size > 0 ? `?${request.query.toString()}` : '';
    return { status: 301, headers: { location: `${request.path}/${query}` }, body: new Uint8Array() };
  }
  await call.core.objects.hub.fresh();
  const target = targetOf(call, wanted);
  if (isForbiddenTarget(target.host)) throw badRequest('address not allowed');
  const question = request.target.indexOf('?');
  const forward: Forward = {
    ...target,
    secure: wanted.scheme === 'https',
    method: request.method,
    path: (path || '/') + (question < 0 ? '' : request.target.slice(question)),
    headers: forwardedHeaders(call, target),
  };
  if (request.upgrade) {
    await tunnel(call, forward, request.upgrade.socket, request.upgrade.head);
    return undefined;
  }
  return await exchange(forward, await request.body(), request.signal, agents);
}

interface Forward extends Target {
  readonly secure: boolean;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What stands after `/proxy`, as it was written. */
function pathBehind(path: string): string {
  const at = path.search(/\/proxy(?:\/|$)/);
  return at < 0 ? '' : path.slice(at + '/proxy'.length);
}

function forwardedHeaders({ request }: Call, target: Target): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (!DROPPED.has(name) && !name.startsWith('impersonate-')) headers[name] = value;
  }
  const { peer } = request;
  if (peer.address) headers['x-forwarded-for'] = peer.address;
  headers['x-forwarded-host'] = request.headers['host'] ?? request.headers[':authority'] ?? '';
  headers['x-forwarded-uri'] = request.path;
  headers['host'] = joinHostPort(target.host, target.port);
  return headers;
}

function targetOf(call: Call, wanted: ProxyName): Target {
  const { core, kind, info } = call;
  if (kind.kind === 'Service') {
    const target = serviceTarget(core, info.namespace, wanted.name, wanted.port);
    if (target) return target;
    if (!core.objects.get(kind, info.namespace, wanted.name)) throw notFound(kind, wanted.name);
    throw unavailable(`no endpoints available for service ${JSON.stringify(wanted.name)}`);
  }
  const entry = core.objects.get(kind, info.namespace, wanted.name);
  if (!entry) throw notFound(kind, wanted.name);
  const status = objectAt(entry.object, 'status');
  if (kind.kind === 'Node') {
    const address = objectsAt(status, 'addresses').find((one) => one['type'] === 'InternalIP');
    const kubelet = numberAt(objectAt(objectAt(status, 'daemonEndpoints'), 'kubeletEndpoint'), 'Port');
    const port = wanted.port ? Number(wanted.port) : kubelet;
    return checked(stringAt(address, 'address'), port, wanted);
  }
  const ports = objectsAt(entry.object['spec'], 'containers').flatMap((one) => objectsAt(one, 'ports'));
  const named = ports.find((one) => one['name'] === wanted.port && wanted.port !== '');
  const first = numberAt(ports[0], 'containerPort') ?? 80;
  const port = named ? numberAt(named, 'containerPort') : wanted.port ? Number(wanted.port) : first;
  return checked(stringAt(status, 'podIP'), port, wanted);
}

const PORT_MAX = 65_535;

function checked(host: string, port: number | undefined, { name }: ProxyName): Target {
  if (host === '') throw unavailable(`${name} has no address yet`);
  if (port === undefined || !Number.isInteger(port) || port < 1 || port > PORT_MAX) {
    throw badRequest(`no port of ${name} is known by that name`);
  }
  return { host, port };
}

async function exchange(
  forward: Forward,
  body: Uint8Array,
  signal: AbortSignal,
  agents: Agents,
): Promise<Reply> {
  const { host, port, method, path, headers } = forward;
  const options = { host, port, method, path, headers, signal, timeout: PROXY_CONNECT_TIMEOUT_MS };
  const request = forward.secure
    ? httpsRequest({ ...options, agent: agents.secure })
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
      for await (const chunk of response as AsyncIterable<Uint8Array>) {
        if (sink.closed.aborted) return;
        sink.write(chunk);
        await sink.drained();
      }
    },
  };
}

/** An upgraded connection: bytes go through as they come. */
async function tunnel(call: Call, forward: Forward, client: Duplex, head: Uint8Array): Promise<void> {
  if (forward.secure) throw badRequest('upgrades to https targets are not supported');
  const target = connect({ host: forward.host, port: forward.port, timeout: PROXY_CONNECT_TIMEOUT_MS });
  try {
    await once(target, 'connect');
  } catch (error) {
    throw unavailable(`error trying to reach service: ${messageOf(error)}`);
  }
  target.setTimeout(0);
  const lines = Object.entries({
    ...forward.headers,
    connection: 'Upgrade',
    upgrade: call.request.headers['upgrade'] ?? '',
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
