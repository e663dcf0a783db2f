import type { ApiClient } from '../../api/client/client.ts';
import { feedSink } from '../../api/client/feed-sink.ts';
import { type InformerDeps, openInformer } from '../../api/client/open-informer.ts';
import { resources } from '../../api/client/resources.ts';
import type { ObjectSink } from '../../api/kinds/object-sink.ts';

/** Follows single Secrets: one that no Ingress refers to is never asked for. */
export class NeededSecrets implements AsyncDisposable {
  readonly #client: ApiClient;
  readonly #deps: InformerDeps;
  readonly #sink: ObjectSink;
  readonly #followed = new Map<string, { readonly synced: Promise<void> } & AsyncDisposable>();

  constructor(client: ApiClient, deps: InformerDeps, sink: ObjectSink) {
    this.#client = client;
    this.#deps = deps;
    this.#sink = sink;
  }

  /** Follows these (`namespace/name`) from now on, and no others; resolves when they were read once. */
  async need(keys: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    for (const [key, followed] of this.#followed) {
      if (keys.has(key)) continue;
      this.#followed.delete(key);
      await followed[Symbol.asyncDispose]();
    }
    const all = [...keys].map((key) => this.#followed.get(key) ?? this.#follow(key));
    const given = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => given.resolve(), { once: true });
    await Promise.race([Promise.all(all.map(({ synced }) => synced)), given.promise]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const followed of this.#followed.values()) await followed[Symbol.asyncDispose]();
    this.#followed.clear();
  }

  #follow(key: string): { readonly synced: Promise<void> } & AsyncDisposable {
    const [namespace = '', name = ''] = key.split('/');
    const selected = { namespace, fieldSelector: `metadata.name=${name}` };
    const informer = openInformer(this.#client, resources.secrets, selected, this.#deps);
    const sink = this.#sink;
    const feed = feedSink(informer, sink);
    const followed = {
      synced: informer.synced().catch(() => {}), // disposed before it came: nobody needs it any more
      async [Symbol.asyncDispose]() {
        feed[Symbol.dispose]();
        for (const secret of informer.list()) sink.remove(secret);
        await informer[Symbol.asyncDispose]();
      },
    };
    this.#followed.set(key, followed);
    return followed;
  }
}
