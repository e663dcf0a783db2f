import { joinHostPort } from '../../../net/ip.ts';
import { numberAt, objectAt, objectsAt, stringAt } from '../../kinds/json-value.ts';
import type { Reply } from '../http/reply.ts';
import { badRequest, notFound, unavailable } from '../status.ts';
import type { Kubelets } from '../stream/kubelets.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import type { Call } from '../verbs/write.ts';
import { isForbiddenTarget } from './forbidden.ts';
import { DROPPED, exchange, type Forward, ProxyAgents, tunnel } from './forward.ts';
import { askHere, nodeTarget } from './node-target.ts';
import { checkedTarget, parseProxyName, type ProxyName, tlsTo } from './proxy-name.ts';
import { serviceTarget, type Target } from './service-target.ts';

/** pods|services|nodes/NAME/proxy/PATH: the request goes on to what stands behind the name, and its answer comes back. */
export function proxyHandler(kubelets: Kubelets): { handler: SubresourceHandler; agents: Disposable } {
  const agents = new ProxyAgents();
  return { agents, handler: (call) => proxy(call, kubelets, agents) };
}

async function proxy(call: Call, kubelets: Kubelets, agents: ProxyAgents): Promise<Reply | undefined> {
  const { request, info } = call;
  const wanted = parseProxyName(info.name);
  if (!wanted) throw badRequest(`invalid ${info.resource} request ${JSON.stringify(info.name)}`);
  const { query, method, upgrade } = request;
  const path = pathBehind(request.path);
  if (path === '' && (method === 'GET' || method === 'HEAD')) {
    const rest = query.size > 0 ? `?${query.toString()}` : '';
    return { status: 301, headers: { location: `${request.path}/${rest}` }, body: new Uint8Array() };
  }
  await call.core.objects.hub.fresh();
  const question = request.target.indexOf('?');
  const asked = (path || '/') + (question < 0 ? '' : request.target.slice(question));
  const target = call.kind.kind === 'Node' ? nodeTarget(call.core, wanted, kubelets) : targetOf(call, wanted);
  if ('door' in target) return await askHere(target.door, request, asked);
  if (isForbiddenTarget(target.host)) throw badRequest('address not allowed');
  const headers = forwardedHeaders(call, target);
  const forward: Forward = { ...target, method, path: asked, headers };
  if (upgrade) {
    await tunnel(request.headers['upgrade'] ?? '', forward, upgrade.socket, upgrade.head);
    return undefined;
  }
  return await exchange(forward, await request.body(), request.signal, agents);
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

type ProxyTarget = Target & Pick<Forward, 'tls'>;

function targetOf({ core, kind, info }: Call, wanted: ProxyName): ProxyTarget {
  const tls = tlsTo(wanted);
  if (kind.kind === 'Service') {
    const target = serviceTarget(core, info.namespace, wanted.name, wanted.port);
    if (target) return { ...target, tls };
    if (!core.objects.get(kind, info.namespace, wanted.name)) throw notFound(kind, wanted.name);
    throw unavailable(`no endpoints available for service ${JSON.stringify(wanted.name)}`);
  }
  const entry = core.objects.get(kind, info.namespace, wanted.name);
  if (!entry) throw notFound(kind, wanted.name);
  const ports = objectsAt(entry.object['spec'], 'containers').flatMap((one) => objectsAt(one, 'ports'));
  const named = ports.find((one) => one['name'] === wanted.port && wanted.port !== '');
  const first = numberAt(ports[0], 'containerPort') ?? 80;
  const port = named ? numberAt(named, 'containerPort') : wanted.port ? Number(wanted.port) : first;
  const host = stringAt(objectAt(entry.object, 'status'), 'podIP');
  return { ...checkedTarget(host, port, wanted), tls };
}
