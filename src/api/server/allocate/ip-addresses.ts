import { messageOf } from '../../../base/fault.ts';
import { familyOf } from '../../../net/ip.ts';
import { objectAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import { systemObject } from '../bootstrap/system-objects.ts';
import type { ResourceCache } from '../cache/resource-cache.ts';
import type { Core } from '../verbs/context.ts';
import type { Held } from './service-allocation.ts';

const MANAGED_BY = 'ipaddress.kubernetes.io/managed-by';
const ALLOCATOR = 'ipallocator.k8s.io';

/**
 * The IPAddress objects (KEP-1880): one a cluster IP, that names its Service. They are the locks, too: of two
 * servers that pick the same address at the same time one creates its object, and the other one picks again.
 */
export class IpAddresses implements Disposable {
  readonly #core: Core;
  readonly #kind: KindInfo;
  readonly #following: Disposable;
  /** Being removed, until the cache has seen it go. */
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(core: Core) {
    const kind = core.registry.find('networking.k8s.io', 'v1', 'ipaddresses');
    if (!kind) throw new Error('IPAddress is a built-in kind');
    this.#core = core;
    this.#kind = kind;
    this.#following = this.cache.listen({
      namespace: '',
      event: ({ type, entry }) => void (type === 'DELETED' && this.#leaving.delete(entry.name)),
      tick: () => {},
      lost: () => this.#leaving.clear(),
    });
  }

  [Symbol.dispose](): void {
    this.#following[Symbol.dispose]();
  }

  get cache(): ResourceCache {
    return this.#core.objects.cacheOf(this.#kind);
  }

  /** Somebody has it, or had it a moment ago. */
  isTaken(address: string): boolean {
    return this.cache.get(this.cache.prefix + address) !== undefined;
  }

  /** It is given back right now: after `settled` it can be taken. */
  isLeaving(address: string): boolean {
    return this.#leaving.has(address);
  }

  async settled(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) await this.#leaving.get(address);
  }

  /**
   * All or nothing: returns those that somebody else was faster with, none when all are taken now.
   * @param owner namespace/name of the Service
   */
  async take(addresses: readonly string[], owner: string): Promise<string[]> {
    const results = await Promise.all(
      addresses.map((address) =>
        this.#core.objects.put(this.#kind, '', address, this.#objectOf(address, owner), 0),
      ),
    );
    const lost = addresses.filter((_, index) => !results[index]?.ok);
    if (lost.length === 0) return lost;
    const won = addresses.filter((address) => !lost.includes(address));
    await this.release(won, owner);
    await this.#core.objects.hub.fresh(); // from now on `isTaken` knows them
    return lost;
  }

  /** Gives back what this owner holds of them. What fails is left to the repair pass. */
  async release(addresses: readonly string[], owner: string): Promise<void> {
    await Promise.all(
      addresses.map(async (address) => {
        const removal = this.#remove(address, owner).then(
          (removed) => void (removed || this.#leaving.delete(address)),
          (error: unknown) => {
            this.#leaving.delete(address);
            this.#core.log.warn('address not released', { address, reason: messageOf(error) });
          },
        );
        this.#leaving.set(address, removal);
        await removal;
      }),
    );
  }

  /** Makes the object of an address a Service holds anew: somebody removed it, or it never was. */
  async restore(address: string, owner: string): Promise<void> {
    if (this.#ownerOf(address) === owner) return;
    const entry = this.cache.get(this.cache.prefix + address);
    if (entry) await this.#core.objects.remove(this.#kind, entry);
    await this.#core.objects.put(this.#kind, '', address, this.#objectOf(address, owner), 0);
  }

  /** Addresses the server gave to Services, and to which, but for those that are held. */
  *notHeld(held: Held): Generator<[address: string, owner: string]> {
    for (const entry of this.cache.range(this.cache.prefix)) {
      if (held.has(entry.name) || entry.object.metadata.labels?.[MANAGED_BY] !== ALLOCATOR) continue;
      const owner = this.#ownerOf(entry.name);
      if (owner !== undefined) yield [entry.name, owner];
    }
  }

  async #remove(address: string, owner: string): Promise<boolean> {
    const key = this.cache.prefix + address;
    // A write of a moment ago may not have come back yet.
    if (!this.cache.get(key)) await this.#core.objects.hub.fresh();
    const entry = this.cache.get(key);
    if (!entry || this.#ownerOf(address) !== owner) return false;
    return (await this.#core.objects.remove(this.#kind, entry)).ok;
  }

  /** namespace/name of the Service an address refers to. */
  #ownerOf(address: string): string | undefined {
    const entry = this.cache.get(this.cache.prefix + address);
    const parent = entry && objectAt(objectAt(entry.object, 'spec'), 'parentRef');
    if (!parent || stringAt(parent, 'resource') !== 'services' || stringAt(parent, 'group')) return undefined;
    return `${stringAt(parent, 'namespace')}/${stringAt(parent, 'name')}`;
  }

  #objectOf(address: string, owner: string): UnknownObject {
    const [namespace = '', name = ''] = owner.split('/');
    return systemObject(this.#core, {
      kind: 'IPAddress',
      apiVersion: 'networking.k8s.io/v1',
      metadata: {
        name: address,
        labels: { 'ipaddress.kubernetes.io/ip-family': familyOf(address) ?? '', [MANAGED_BY]: ALLOCATOR },
      },
      spec: { parentRef: { resource: 'services', namespace, name } },
    });
  }
}
