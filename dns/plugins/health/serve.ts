import { sleep } from '../../../src/base/clock.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import type { Peer } from '../../query.ts';
import { HttpEndpoint, pageUrl } from '../../server/http-endpoint.ts';
import { SelfProbe } from './self-probe.ts';

/** GET /health says 200 OK for as long as the process runs; `lameduck` keeps serving for a while after the stop. */
export async function openHealth(
  deps: PluginDeps,
  options: { readonly address: Peer; readonly lameduckMs: number },
): Promise<Plugin> {
  const { address, port } = options.address;
  const endpoint = deps.host.shared(`http ${address} ${port}`, () => new HttpEndpoint(options.address));
  const bound = await endpoint.opened();
  const page = endpoint.add('/health', () => ({ status: 200, body: 'OK' }));
  // Disposed with the endpoint, not with this plugin: a reload keeps both.
  deps.host.shared(`health probe ${address} ${port}`, () => new SelfProbe(deps, bound));
  deps.log.info('health endpoint', { ...bound });
  return {
    name: 'health',
    page: pageUrl(bound, '/health'),
    transparent: true,
    serve: (query, next) => next(query),
    ...(options.lameduckMs > 0 && { lameduck: () => sleep(deps.clock, options.lameduckMs) }),
    [Symbol.asyncDispose]: async () => page[Symbol.dispose](),
  };
}
