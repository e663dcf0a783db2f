import type { Verb } from '../../kinds/registry.ts';
import type { Reply } from '../http/reply.ts';
import type { ApiRequest, UserInfo } from '../http/request.ts';
import type { RequestInfo } from '../http/request-info.ts';
import { unknownPath } from '../http/unknown-path.ts';
import { methodNotAllowed, noSuchPath } from '../status.ts';
import { admitted } from './connect.ts';
import type { Core } from './context.ts';
import { warningHeader } from './options.ts';
import { get, listOrWatch } from './read.ts';
import { deleteCollection, deleteOne, patch, post, put, type Call } from './write.ts';

/** Serves one subresource of a kind; undefined = the socket was taken over. */
export type SubresourceHandler = (call: Call) => Promise<Reply | undefined>;

/** By `group/plural/subresource`, or `* /subresource` without the blank for every kind that declares it. */
export type SubresourceTable = ReadonlyMap<string, SubresourceHandler>;

/** Computes replies about what is never stored (SubjectAccessReview, PodMetrics and the like), by `group/Kind`. */
export type VirtualTable = ReadonlyMap<string, SubresourceHandler>;

export interface Routes {
  readonly core: Core;
  readonly subresources: SubresourceTable;
  readonly virtual: VirtualTable;
}

/** Finds the kind and runs the verb. Authorization has already happened. */
export async function dispatch(
  routes: Routes,
  request: ApiRequest,
  info: RequestInfo,
  user: UserInfo,
  demand: Call['demand'],
): Promise<Reply | undefined> {
  const { core } = routes;
  const kind = core.registry.find(info.group, info.version, info.resource);
  if (!kind || !pathFits(kind.namespaced, info)) return unknownPath(core.registry, request.path);
  // A proxied HEAD is for who stands behind the proxy.
  if (request.method === 'HEAD' && info.subresource !== 'proxy') throw methodNotAllowed();
  const call: Call = { core, kind, request, info, user, demand };
  const reply = await answer(routes, call);
  return reply && kind.deprecationWarning ? withWarning(reply, kind.deprecationWarning) : reply;
}

function withWarning(reply: Reply, text: string): Reply {
  const { warning } = reply.headers;
  const added = warningHeader([text])?.['warning'] ?? '';
  return { ...reply, headers: { ...reply.headers, warning: warning ? `${added}, ${warning}` : added } };
}

async function answer(routes: Routes, call: Call): Promise<Reply | undefined> {
  const { kind, info } = call;
  if (info.subresource) {
    const handler =
      routes.subresources.get(`${info.group}/${info.resource}/${info.subresource}`) ??
      routes.subresources.get(`*/${info.subresource}`);
    const declared = kind.subresources.find((one) => one.name === info.subresource);
    if (!handler || !declared) throw noSuchPath();
    return await admitted(handler)(call);
  }
  if (kind.virtual) {
    const handler = routes.virtual.get(`${info.group}/${kind.kind}`);
    if (!handler) throw noSuchPath();
    if (!kind.verbs.includes(info.verb as Verb)) throw methodNotAllowed();
    return await handler(call);
  }
  return await runVerb(call);
}

/** A namespaced object needs its namespace; a cluster-scoped one has none (the namespace object itself aside). */
function pathFits(namespaced: boolean, info: RequestInfo): boolean {
  if (info.resource === 'namespaces' && info.group === '') return true;
  if (!namespaced) return info.namespace === '';
  return info.namespace !== '' || info.name === '';
}

async function runVerb(call: Call): Promise<Reply> {
  const { kind, info, core, request, user } = call;
  if (!kind.verbs.includes(info.verb as Verb)) throw methodNotAllowed();
  if (!info.name && (info.verb === 'update' || info.verb === 'patch')) throw methodNotAllowed();
  switch (info.verb) {
    case 'get':
      return await get(core, kind, request, info);
    case 'list':
    case 'watch':
      return await listOrWatch(core, kind, request, info, user.username);
    case 'create':
      if (info.name || (kind.namespaced && !info.namespace)) throw methodNotAllowed();
      return await post(call);
    case 'update':
      return await put(call);
    case 'patch':
      return await patch(call);
    case 'delete':
      return await deleteOne(call);
    case 'deletecollection':
      if (kind.namespaced && !info.namespace) throw methodNotAllowed();
      return await deleteCollection(call);
    default:
      throw methodNotAllowed();
  }
}
