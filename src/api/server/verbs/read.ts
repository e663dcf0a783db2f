import type { KindInfo } from '../../kinds/registry.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import type { Reply } from '../http/reply.ts';
import type { ApiRequest } from '../http/request.ts';
import type { RequestInfo } from '../http/request-info.ts';
import { notFound } from '../status.ts';
import type { Core } from './context.ts';
import { list } from './list.ts';
import { parseListOptions, parseRevision } from './list-options.ts';
import { encoderFor, encoderOptions, entryReply } from './replies.ts';
import { selectionFor } from './selection.ts';
import { watch } from './watch.ts';

export async function get(
  core: Core,
  kind: KindInfo,
  request: ApiRequest,
  info: RequestInfo,
): Promise<Reply> {
  const options = encoderOptions(kind, request, () => core.clock.nowMs());
  const asked = parseRevision(request.query.get('resourceVersion') ?? '');
  if (asked === undefined) await core.objects.hub.fresh();
  else if (asked > 0) await core.objects.hub.reach(asked);
  const entry = core.objects.get(kind, info.namespace, info.name);
  if (!entry) throw notFound(kind, info.name);
  return entryReply(200, options, await core.conversions.view(kind, entry));
}

/** GET of a collection, and of one name with watch=true. */
export async function listOrWatch(
  core: Core,
  kind: KindInfo,
  request: ApiRequest,
  info: RequestInfo,
  username: string,
): Promise<Reply> {
  const parsed = parseListOptions(request.query);
  const options = { ...parsed, watch: parsed.watch || info.verb === 'watch' };
  const encoder = encoderFor(kind, request, () => core.clock.nowMs());
  const namespace = kind.namespaced ? info.namespace : '';
  const scope = {
    cache: core.objects.cacheOf(kind),
    prefix: core.objects.prefixOf(kind, namespace),
    selection: selectionFor(kind, options.labelSelector, options.fieldSelector, info.name),
    namespace,
    ...(kind.conversionWebhook && {
      views: (entries: readonly StoredObject[]) => core.conversions.views(kind, entries),
    }),
  };
  const nextSlice = (): Promise<void> => core.nextSlice(username);
  const deps = {
    hub: core.objects.hub,
    store: core.store,
    clock: core.clock,
    random: core.random,
    nextSlice,
    begin: () => core.watchSlots.start(username),
  };
  if (!options.watch) return await list(deps, scope, options, encoder);
  core.watchSlots.check(username);
  const reply = await watch(deps, scope, options, encoder);
  const { body } = reply;
  if (body instanceof Uint8Array) return reply;
  return {
    ...reply,
    body: async (sink) => {
      using _slot = core.watchSlots.enter(username);
      await body(sink);
    },
  };
}
