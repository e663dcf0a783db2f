import { cloneJson, equalJson, isObject, objectAt, objectsAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { formatQuantity, parseQuantity } from '../../kinds/quantity.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import type { CacheEvent } from '../cache/resource-cache.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { KeyedLoop } from '../keyed-loop.ts';
import { WRITE_ATTEMPTS_MAX } from '../limits.ts';
import { conflict, forbidden, MODIFIED_MESSAGE, type StatusError } from '../status.ts';
import type { Core } from '../verbs/context.ts';
import { served } from '../verbs/versions.ts';
import type { AdmissionPlugin, AdmissionRequest, Reservation } from './admission.ts';
import type { Amounts } from './pod-amounts.ts';
import { inScope, usageOf } from './quota-usage.ts';

const COMPUTE = /^(requests\.|limits\.)?(cpu|memory|ephemeral-storage)$/;

/**
 * ResourceQuotas: a write that would use more than is left is refused; what it uses is booked on the quota's status
 * by compare-and-swap before the write. A loop counts again whenever something goes away.
 */
export class ResourceQuotas implements AsyncDisposable {
  readonly plugin: AdmissionPlugin;
  readonly #core: Core;
  readonly #kind: KindInfo;
  readonly #loop: KeyedLoop;
  readonly #turns = new Map<string, Promise<void>>();
  readonly #pending = new Set<Booking>();
  readonly #followed = new Map<string, Disposable>();

  static open(core: Core): ResourceQuotas | undefined {
    const kind = core.registry.find('', 'v1', 'resourcequotas');
    return kind && new ResourceQuotas(core, kind);
  }

  private constructor(core: Core, kind: KindInfo) {
    this.#core = core;
    this.#kind = kind;
    this.plugin = { name: 'ResourceQuota', reserve: (request) => this.#reserve(request) };
    this.#loop = new KeyedLoop(core, 'quota', (key) => this.#count(key));
    this.#loop.follow(core.objects.cacheOf(kind), ({ entry, type }) =>
      type === 'DELETED' ? undefined : `${entry.namespace}/${entry.name}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const followed of this.#followed.values()) followed[Symbol.dispose]();
    await this.#loop[Symbol.asyncDispose]();
  }

  #quotas(namespace: string): StoredObject[] {
    const cache = this.#core.objects.cacheOf(this.#kind);
    return [...cache.range(this.#core.objects.prefixOf(this.#kind, namespace))];
  }

  async #reserve(request: AdmissionRequest): Promise<Reservation | undefined> {
    const { kind, namespace, object, operation, subresource, dryRun } = request;
    if (!kind.namespaced || subresource || !object || (operation !== 'CREATE' && operation !== 'UPDATE'))
      return;
    const quotas = this.#quotas(namespace).filter((one) => inScope(one.object, kind, object));
    if (quotas.length === 0) return undefined;
    const asked = added(kind, object, request.old);
    const booked: Booking[] = [];
    try {
      for (const quota of quotas) {
        if (operation === 'CREATE' && kind.kind === 'Pod') checkSpecified(request, object, quota.object);
        await this.#inTurn(quota.key, () => this.#book(request, quota, asked, dryRun, booked));
      }
    } catch (error) {
      this.#settle(booked, true);
      throw error;
    }
    return {
      commit: () => this.#settle(booked, false),
      // The count tells what is really used.
      rollback: () => this.#settle(booked, true),
    };
  }

  /** Bookings of one quota wait for each other: only another server can make one of them try again. */
  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve();
    const mine = before.then(work);
    const ended = mine.then(
      () => {},
      () => {},
    );
    this.#turns.set(key, ended);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(key) === ended) this.#turns.delete(key);
    }
  }

  async #book(
    request: AdmissionRequest,
    first: StoredObject,
    asked: Amounts,
    dryRun: boolean,
    booked: Booking[],
  ): Promise<void> {
    let quota = this.#core.objects.get(this.#kind, first.namespace, first.name);
    for (let attempt = 1; quota && attempt <= WRITE_ATTEMPTS_MAX; attempt++) {
      const hard = objectAt(quota.object['spec'], 'hard');
      const amounts = new Map([...asked].filter(([name, nano]) => hard[name] !== undefined && nano !== 0n));
      if (amounts.size === 0) return;
      const used = objectAt(quota.object['status'], 'used');
      checkLeft(request, quota, amounts, hard, used);
      if (dryRun) return;
      const next = cloneJson(quota.object);
      const status = isObject(next['status']) ? next['status'] : {};
      const sums = { ...objectAt(status, 'used') };
      for (const [name, nano] of amounts) sums[name] = formatted(nanoOf(used[name]) + nano, hard[name]);
      next['status'] = { ...status, hard: objectAt(status, 'hard'), used: sums };
      const booking = { key: `${request.namespace}/${quota.name}`, amounts, counted: false };
      this.#pending.add(booking);
      booked.push(booking);
      const result = await this.#core.objects.put(
        this.#kind,
        request.namespace,
        quota.name,
        next,
        quota.revision,
      );
      if (result.ok) return;
      this.#pending.delete(booking);
      booked.pop();
      quota = result.current;
    }
    if (!quota) return;
    throw conflict(this.#kind, first.name, MODIFIED_MESSAGE);
  }

  /** The object is there, or will never be: only a count that took in the bookings may have to be made again. */
  #settle(booked: readonly Booking[], again: boolean): void {
    for (const booking of booked) {
      this.#pending.delete(booking);
      if (again || booking.counted) this.#loop.mark(booking.key);
    }
  }

  /** Counts what a quota's namespace uses now and writes it down. */
  async #count(key: string): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    await this.#core.objects.hub.fresh();
    const quota = this.#core.objects.get(this.#kind, namespace, name);
    if (!quota) return;
    const hard = objectAt(quota.object['spec'], 'hard');
    const totals = new Map<string, bigint>(Object.keys(hard).map((one) => [one, 0n]));
    for (const kind of this.#core.registry.all()) {
      if (!kind.namespaced || kind.virtual || !counted(kind, totals)) continue;
      this.#follow(kind);
      this.#addAll(kind, namespace, quota.object, totals);
    }
    this.#addPending(key, totals);
    const used = Object.fromEntries(Array.from(totals, ([one, nano]) => [one, formatted(nano, hard[one])]));
    const status = { hard, used };
    if (equalJson(quota.object['status'], status)) return;
    const next = { ...quota.object, status };
    const result = await this.#core.objects.put(this.#kind, namespace, name, next, quota.revision);
    if (!result.ok) this.#loop.mark(key);
  }

  /** What is booked for objects that are not stored yet: a count must not give it back. */
  #addPending(key: string, totals: Map<string, bigint>): void {
    for (const booking of this.#pending) {
      if (booking.key !== key) continue;
      booking.counted = true;
      for (const [one, nano] of booking.amounts) {
        const now = totals.get(one);
        if (now !== undefined) totals.set(one, now + nano);
      }
    }
  }

  #addAll(kind: KindInfo, namespace: string, quota: UnknownObject, totals: Map<string, bigint>): void {
    const { objects } = this.#core;
    for (const entry of objects.cacheOf(kind).range(objects.prefixOf(kind, namespace))) {
      const object = served(kind, entry);
      if (!inScope(quota, kind, object)) continue;
      for (const [one, nano] of usageOf(kind, object)) {
        const now = totals.get(one);
        if (now !== undefined) totals.set(one, now + nano);
      }
    }
  }

  /** From now on changes of this kind that give something back make the quotas of their namespace count again. */
  #follow(kind: KindInfo): void {
    const { collection } = kind.storage;
    if (kind === this.#kind || this.#followed.has(collection)) return;
    const event = ({ type, entry, previous }: CacheEvent): void => {
      const ended =
        kind.kind === 'Pod' && type === 'MODIFIED' && previous && isOver(entry) !== isOver(previous);
      if (type !== 'DELETED' && !ended && !(kind.kind === 'Service' && type === 'MODIFIED')) return;
      for (const quota of this.#quotas(entry.namespace)) this.#loop.mark(`${entry.namespace}/${quota.name}`);
    };
    const listener = { namespace: '', event, tick: () => {}, lost: () => {} };
    this.#followed.set(collection, this.#core.objects.cacheOf(kind).listen(listener));
  }
}

/** What a write that is under way has reserved in one quota. */
interface Booking {
  /** NAMESPACE/NAME of the quota. */
  readonly key: string;
  readonly amounts: Amounts;
  counted: boolean;
}

function isOver(entry: StoredObject): boolean {
  const phase = stringAt(entry.object['status'], 'phase');
  return phase === 'Succeeded' || phase === 'Failed';
}

/** A kind whose objects the quota's resources speak of; one version of each collection. */
function counted(kind: KindInfo, totals: ReadonlyMap<string, bigint>): boolean {
  const stored = kind.storage.kind;
  if (stored.group !== kind.group || stored.version !== kind.version) return false;
  const count = `count/${kind.plural}${kind.group ? `.${kind.group}` : ''}`;
  if (totals.has(count)) return true;
  return kind.group === '' && Array.from(totals.keys()).some((name) => !name.startsWith('count/'));
}

/** What a write uses more than before; a smaller use is given back by the count. */
function added(kind: KindInfo, object: UnknownObject, old: UnknownObject | undefined): Amounts {
  const now = usageOf(kind, object);
  if (!old) return now;
  const before = usageOf(kind, old);
  const more = new Map<string, bigint>();
  for (const [name, nano] of now) {
    const delta = nano - (before.get(name) ?? 0n);
    if (delta > 0n) more.set(name, delta);
  }
  return more;
}

const nanoOf = (value: unknown): bigint => parseQuantity(value)?.nano ?? 0n;

function formatted(nano: bigint, like: unknown): string {
  return formatQuantity({ nano, format: parseQuantity(like)?.format ?? 'decimal' });
}

function checkLeft(
  request: AdmissionRequest,
  quota: StoredObject,
  amounts: Amounts,
  hard: Readonly<Record<string, unknown>>,
  used: Readonly<Record<string, unknown>>,
): void {
  const over = [...amounts]
    .filter(([name, nano]) => nanoOf(used[name]) + nano > nanoOf(hard[name]))
    .map(([name]) => name);
  if (over.length === 0) return;
  over.sort();
  const text = (value: (name: string) => string): string =>
    over.map((name) => `${name}=${value(name)}`).join(',');
  const requested = text((name) => formatted(amounts.get(name) ?? 0n, hard[name]));
  const before = text((name) => formatted(nanoOf(used[name]), hard[name]));
  const limited = text((name) => formatted(nanoOf(hard[name]), hard[name]));
  throw exceeded(
    request,
    `exceeded quota: ${quota.name}, requested: ${requested}, used: ${before}, limited: ${limited}`,
  );
}

function exceeded({ kind, name }: AdmissionRequest, why: string): StatusError {
  return forbidden(kind, name, why);
}

/** A quota on a compute resource wants each container to say how much of it. */
function checkSpecified(request: AdmissionRequest, pod: UnknownObject, quota: UnknownObject): void {
  const missing = new Map<string, string[]>();
  for (const name of Object.keys(objectAt(quota['spec'], 'hard')).sort()) {
    const match = COMPUTE.exec(name);
    if (!match) continue;
    const field = match[1] === 'limits.' ? 'limits' : 'requests';
    const containers = [...objectsAt(pod['spec'], 'containers'), ...objectsAt(pod['spec'], 'initContainers')]
      .filter((one) => objectAt(objectAt(one, 'resources'), field)[match[2] ?? ''] === undefined)
      .map((one) => stringAt(one, 'name'));
    if (containers.length > 0) missing.set(name, containers.sort());
  }
  if (missing.size === 0) return;
  const text = Array.from(missing, ([name, containers]) => `${name} for: ${containers.join(',')}`).join('; ');
  throw exceeded(request, `failed quota: ${quota.metadata.name}: must specify ${text}`);
}
