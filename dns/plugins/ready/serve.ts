import type { Peer, Plugin, PluginDeps } from '../../plugin.ts';
import { HttpEndpoint, type HttpReply } from '../../server/http-endpoint.ts';

/** GET /ready: 200 when every plugin of every block was ready once (or is, continuously), else 503 with their names. */
export async function openReady(
  deps: PluginDeps,
  options: { readonly address: Peer; readonly continuously: boolean },
): Promise<Plugin> {
  const { address, port } = options.address;
  const endpoint = deps.host.shared(`http ${address} ${port}`, () => new HttpEndpoint(options.address));
  const bound = await endpoint.opened();
  const wasReady = new Set<Plugin>();
  const isReady = (plugin: Plugin): boolean => {
    if (!options.continuously && wasReady.has(plugin)) return true;
    const ready = plugin.ready?.() ?? true;
    if (ready) wasReady.add(plugin);
    return ready;
  };
  const page = endpoint.add('/ready', (): HttpReply => {
    if (deps.host.draining) return { status: 503, body: 'shutting down' };
    const waiting = deps.host.allPlugins().filter((plugin) => !isReady(plugin));
    if (waiting.length === 0) return { status: 200, body: 'OK' };
    return { status: 503, body: [...new Set(waiting.map((plugin) => plugin.name))].join(',') };
  });
  deps.log.info('readiness endpoint', { ...bound });
  return {
    name: 'ready',
    transparent: true,
    serve: (query, next) => next(query),
    [Symbol.asyncDispose]: async () => page[Symbol.dispose](),
  };
}
