import { equalJson, type JsonObject, objectAt, objectsAt } from '../../kinds/json-value.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import { ensureObject } from '../bootstrap/system-objects.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { KeyedLoop } from '../keyed-loop.ts';
import type { Core } from '../verbs/context.ts';
import type { IpAddresses } from './ip-addresses.ts';
import { cidrsOf, DEFAULT_SERVICE_CIDR, isOpen, poolsOf } from './service-ranges.ts';

const FINALIZER = 'networking.k8s.io/service-cidr-finalizer';
const NOTHING: ReadonlySet<string> = new Set();

interface ServiceCidrOptions {
  /** The range of the options, as one object holds it. */
  readonly defaultCidrs: readonly string[];
  /** Other servers may not know yet that a range goes: it stays this long after its deletion. */
  readonly graceMs: number;
}

/**
 * Keeps ServiceCIDR objects (KEP-1880): makes the default one, says that they are ready, and lets a deleted one go
 * when no cluster IP needs it any more.
 */
export class ServiceCidrs implements AsyncDisposable {
  readonly #core: Core;
  readonly #kind: KindInfo;
  readonly #addresses: IpAddresses;
  readonly #options: ServiceCidrOptions;
  readonly #loop: KeyedLoop;
  readonly #following: Disposable[] = [];

  /** Resolves when the default range is an object. */
  static async open(
    core: Core,
    kind: KindInfo,
    addresses: IpAddresses,
    options: ServiceCidrOptions,
  ): Promise<ServiceCidrs> {
    await ensureDefault(core, kind, options.defaultCidrs);
    return new ServiceCidrs(core, kind, addresses, options);
  }

  private constructor(core: Core, kind: KindInfo, addresses: IpAddresses, options: ServiceCidrOptions) {
    this.#core = core;
    this.#kind = kind;
    this.#addresses = addresses;
    this.#options = options;
    this.#loop = new KeyedLoop(core, 'service cidrs', (name) => this.#settle(name));
    this.#loop.follow(core.objects.cacheOf(kind), ({ entry }) => {
      this.#markDeleted();
      return entry.name;
    });
    this.#following.push(
      addresses.cache.listen({
        namespace: '',
        event: ({ type }) => void (type === 'DELETED' && this.#markDeleted()),
        tick: () => {},
        lost: () => this.#markDeleted(),
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#following) one[Symbol.dispose]();
    await this.#loop[Symbol.asyncDispose]();
  }

  /** Those that wait for their addresses look again. */
  #markDeleted(): void {
    for (const cidr of this.#all()) if (cidr.metadata.deletionTimestamp) this.#loop.mark(cidr.metadata.name);
  }

  #all(): UnknownObject[] {
    const cache = this.#core.objects.cacheOf(this.#kind);
    return Array.from(cache.range(cache.prefix), ({ object }) => object);
  }

  async #settle(name: string): Promise<void> {
    await this.#core.objects.hub.fresh();
    const entry = this.#core.objects.get(this.#kind, '', name);
    if (!entry) return;
    if (!entry.object.metadata.deletionTimestamp) {
      const finalizers = new Set(entry.object.metadata.finalizers).add(FINALIZER);
      await this.#write(entry, [...finalizers], readyCondition(name));
    } else if (entry.object.metadata.finalizers?.includes(FINALIZER)) {
      await this.#letGo(entry, Date.parse(entry.object.metadata.deletionTimestamp));
    }
  }

  async #letGo(entry: StoredObject, deletedMs: number): Promise<void> {
    const finalizers = entry.object.metadata.finalizers ?? [];
    if (this.#isNeeded(entry.object)) return await this.#write(entry, finalizers, TERMINATING);
    const waitMs = deletedMs + this.#options.graceMs - this.#core.clock.nowMs();
    if (waitMs > 0) return this.#loop.markAfter(entry.name, waitMs);
    const rest = finalizers.filter((one) => one !== FINALIZER);
    if (rest.length > 0) await this.#write(entry, rest, TERMINATING);
    else await this.#core.objects.remove(this.#kind, entry);
  }

  /** A Service has an address of it that no other range covers. */
  #isNeeded(cidr: UnknownObject): boolean {
    const own = poolsOf(cidrsOf(cidr));
    const others = poolsOf(this.#all().filter(isOpen).flatMap(cidrsOf));
    for (const [address] of this.#addresses.notHeld(NOTHING)) {
      if (own.some((pool) => pool.has(address)) && !others.some((pool) => pool.has(address))) return true;
    }
    return false;
  }

  async #write(entry: StoredObject, finalizers: readonly string[], condition: JsonObject): Promise<void> {
    const { object } = entry;
    const status = objectAt(object, 'status');
    const conditions = objectsAt(status, 'conditions');
    const was = conditions.find(({ type }) => type === condition['type']);
    const kept = was && was['status'] === condition['status'] ? was['lastTransitionTime'] : undefined;
    const since = kept ?? formatTime(this.#core.clock.nowMs());
    const next: UnknownObject = {
      ...object,
      metadata: { ...object.metadata, finalizers: [...finalizers] },
      status: {
        ...status,
        conditions: [...conditions.filter((one) => one !== was), { ...condition, lastTransitionTime: since }],
      },
    };
    if (!equalJson(next, object))
      await this.#core.objects.put(this.#kind, '', entry.name, next, entry.revision);
  }
}

const TERMINATING = {
  type: 'Ready',
  status: 'False',
  reason: 'Terminating',
  message:
    'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
};

function readyCondition(name: string): JsonObject {
  const message =
    name === DEFAULT_SERVICE_CIDR
      ? 'Kubernetes default Service CIDR is ready'
      : 'Kubernetes Service CIDR is ready';
  return { type: 'Ready', status: 'True', reason: '', message };
}

/** What the server was started with holds, also when an earlier start was told something else. */
async function ensureDefault(core: Core, kind: KindInfo, cidrs: readonly string[]): Promise<void> {
  const entry = core.objects.get(kind, '', DEFAULT_SERVICE_CIDR);
  if (entry) {
    if (equalJson(cidrsOf(entry.object), cidrs)) return;
    core.log.warn('default service range changed', { from: cidrsOf(entry.object), to: cidrs });
    const object = { ...entry.object, spec: { cidrs } };
    await core.objects.put(kind, '', DEFAULT_SERVICE_CIDR, object, entry.revision);
    return;
  }
  const lastTransitionTime = formatTime(core.clock.nowMs());
  await ensureObject(core, {
    kind: 'ServiceCIDR',
    apiVersion: 'networking.k8s.io/v1',
    metadata: { name: DEFAULT_SERVICE_CIDR, finalizers: [FINALIZER] },
    spec: { cidrs },
    status: { conditions: [{ ...readyCondition(DEFAULT_SERVICE_CIDR), lastTransitionTime }] },
  });
}
