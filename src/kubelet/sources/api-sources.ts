import type { Clock } from '../../base/clock.ts';
import { Fault, messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { type ApiClient, ApiError, type Resource } from '../../api/client/client.ts';
import type { Informer } from '../../api/client/informer.ts';
import { openInformer } from '../../api/client/open-informer.ts';
import { resources } from '../../api/client/resources.ts';
import type { ConfigMap, Secret } from '../../api/kinds/config.ts';
import type { KubeObject, UnknownObject } from '../../api/kinds/meta.ts';
import type { Service } from '../../api/kinds/service.ts';
import { ClaimFolders } from '../volumes/claim-folders.ts';
import { SOURCE_IDLE_MS, SOURCE_WAIT_MS } from '../limits.ts';
import type { IssuedToken, PodSources, SourceReference, TokenRequest } from './pod-sources.ts';

interface SourcesDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

interface Followed {
  readonly informer: Informer<KubeObject>;
  readonly listeners: Set<() => void>;
  idleTimer: Disposable | undefined;
}

/**
 * Sources from the API: each ConfigMap and Secret pods refer to is followed by a watch of its own, for as long
 * as somebody refers to it, so that this node sees no others (the node authorizer's rule) and changes arrive at
 * once. Services are followed whole.
 */
export class ApiSources implements PodSources, AsyncDisposable {
  readonly #deps: SourcesDeps;
  readonly #services: Informer<Service>;
  readonly #claims: ClaimFolders;
  readonly #followed = new Map<string, Followed>();

  constructor(deps: SourcesDeps, options: { readonly dataDir: string }) {
    this.#deps = deps;
    this.#services = openInformer<Service>(deps.client, resources.services, {}, deps);
    this.#claims = new ClaimFolders(deps, options);
  }

  async configMap(namespace: string, name: string): Promise<ConfigMap | undefined> {
    return await this.#get<ConfigMap>({ kind: 'ConfigMap', namespace, name });
  }

  async secret(namespace: string, name: string): Promise<Secret | undefined> {
    return await this.#get<Secret>({ kind: 'Secret', namespace, name });
  }

  async services(namespace: string): Promise<Iterable<Service>> {
    await this.#synced(this.#services, 'services');
    const kubernetes = this.#services.get('default', 'kubernetes');
    const own = this.#services.list(namespace);
    return namespace === 'default' || !kubernetes ? own : [kubernetes, ...own];
  }

  claimFolder(namespace: string, name: string): Promise<string | undefined> {
    return this.#claims.folder(namespace, name);
  }

  async serviceAccountToken(request: TokenRequest): Promise<IssuedToken | undefined> {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { name: request.serviceAccount, namespace: request.namespace },
      spec: {
        expirationSeconds: request.expirationSeconds,
        ...(request.audience && { audiences: [request.audience] }),
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...request.pod },
      },
    };
    try {
      const made = await this.#deps.client.create<UnknownObject>(resources.serviceAccounts, body, {
        subresource: 'token',
      });
      const status = made.status as { token?: string; expirationTimestamp?: string } | undefined;
      if (!status?.token) return undefined;
      return { token: status.token, expiresAtMs: Date.parse(status.expirationTimestamp ?? '') };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#deps.log.debug('no service account token', { reason: messageOf(error) });
      return undefined;
    }
  }

  onChange(_podUid: string, references: readonly SourceReference[], listener: () => void): Disposable {
    const followed = references.map((reference) => this.#follow(reference));
    for (const entry of followed) {
      entry.listeners.add(listener);
      entry.idleTimer?.[Symbol.dispose]();
      entry.idleTimer = undefined;
    }
    return {
      [Symbol.dispose]: () => {
        for (const entry of followed) entry.listeners.delete(listener);
        for (const reference of references) this.#letGoLater(reference);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const followed = Array.from(this.#followed.values());
    for (const entry of followed) entry.idleTimer?.[Symbol.dispose]();
    await Promise.all([
      this.#services[Symbol.asyncDispose](),
      ...followed.map((entry) => entry.informer[Symbol.asyncDispose]()),
    ]);
  }

  async #get<T extends KubeObject>(reference: SourceReference): Promise<T | undefined> {
    const entry = this.#follow(reference);
    if (entry.listeners.size === 0) this.#letGoLater(reference);
    await this.#synced(entry.informer, `${reference.kind} ${reference.name}`);
    return entry.informer.get(reference.namespace, reference.name) as T | undefined;
  }

  async #synced(informer: { synced(signal: AbortSignal): Promise<void> }, what: string): Promise<void> {
    const abort = new AbortController();
    const fault = new Fault('SOURCE_UNAVAILABLE', `the API has not answered for ${what} yet`);
    const timer = this.#deps.clock.setTimer(SOURCE_WAIT_MS, () => abort.abort(fault));
    try {
      await informer.synced(abort.signal);
    } finally {
      timer[Symbol.dispose]();
    }
  }

  #follow(reference: SourceReference): Followed {
    const key = keyOf(reference);
    const present = this.#followed.get(key);
    if (present) return present;
    const resource: Resource = reference.kind === 'ConfigMap' ? resources.configMaps : resources.secrets;
    const { namespace, name } = reference;
    const options = { namespace, fieldSelector: `metadata.name=${name}` };
    const informer = openInformer<KubeObject>(this.#deps.client, resource, options, this.#deps);
    const entry: Followed = { informer, listeners: new Set(), idleTimer: undefined };
    informer.subscribe(() => {
      for (const listener of entry.listeners) listener();
    });
    this.#followed.set(key, entry);
    return entry;
  }

  #letGoLater(reference: SourceReference): void {
    const key = keyOf(reference);
    const entry = this.#followed.get(key);
    if (!entry || entry.listeners.size > 0) return;
    entry.idleTimer?.[Symbol.dispose]();
    entry.idleTimer = this.#deps.clock.setTimer(SOURCE_IDLE_MS, () => {
      if (entry.listeners.size > 0) return;
      this.#followed.delete(key);
      void entry.informer[Symbol.asyncDispose]();
    });
  }
}

function keyOf(reference: SourceReference): string {
  return `${reference.kind} ${reference.namespace}/${reference.name}`;
}
