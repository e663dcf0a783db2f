import type { Plugin, PluginDeps } from '../../plugin.ts';
import type { Handler, Outcome, Peer, Query } from '../../query.ts';
import { HttpEndpoint, type HttpReply, pageUrl } from '../../server/http-endpoint.ts';

export interface ReadyOptions {
  readonly address: Peer;
  /** Plugins that were ready once are asked again all the same. */
  readonly continuously: boolean;
}

/**
 * GET /ready: 200 when every plugin of every block with `ready` was ready once (or is, continuously), else 503 with
 * their names.
 */
export async function openReady(deps: PluginDeps, options: ReadyOptions): Promise<Plugin> {
  const { address, port } = options.address;
  const endpoint = deps.host.shared(`http ${address} ${port}`, () => new HttpEndpoint(options.address));
  const bound = await endpoint.opened();
  deps.log.info('readiness endpoint', { ...bound });
  return new Ready(deps, options, endpoint, pageUrl(bound, '/ready'));
}

class Ready implements Plugin {
  readonly name = 'ready';
  readonly transparent = true;
  readonly page: string;
  readonly #deps: PluginDeps;
  readonly #continuously: boolean;
  readonly #wasReady = new Set<Plugin>();
  readonly #page: Disposable;

  constructor(deps: PluginDeps, { continuously }: ReadyOptions, endpoint: HttpEndpoint, page: string) {
    this.page = page;
    this.#deps = deps;
    this.#continuously = continuously;
    this.#page = endpoint.add('/ready', () => this.#reply());
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    return next(query);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#page[Symbol.dispose]();
  }

  #reply(): HttpReply {
    const { host } = this.#deps;
    if (host.draining) return { status: 503, body: 'shutting down' };
    const watched = host
      .allPlugins()
      .flatMap((plugin) => (plugin instanceof Ready ? plugin.#neighbours : []));
    const waiting = watched.filter((plugin) => !this.#isReady(plugin));
    if (waiting.length === 0) return { status: 200, body: 'OK' };
    return { status: 503, body: [...new Set(waiting.map((plugin) => plugin.name))].join(',') };
  }

  get #neighbours(): readonly Plugin[] {
    return this.#deps.chain.plugins;
  }

  #isReady(plugin: Plugin): boolean {
    if (!this.#continuously && this.#wasReady.has(plugin)) return true;
    const ready = plugin.ready?.() ?? true;
    if (ready) this.#wasReady.add(plugin);
    return ready;
  }
}
