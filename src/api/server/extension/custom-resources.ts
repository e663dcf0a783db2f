import { messageOf } from '../../../base/fault.ts';
import { customCollection, customKinds, customNames } from '../../kinds/custom/custom-kind.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import {
  cloneJson,
  equalJson,
  isObject,
  type JsonObject,
  objectsAt,
  stringAt,
} from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import { CUSTOM_RESOURCE_CLEANUP } from '../../kinds/rules/crd.ts';
import { KeyedLoop } from '../keyed-loop.ts';
import { remove } from '../verbs/delete.ts';
import type { Core, WriteContext } from '../verbs/context.ts';
import { update } from '../verbs/update.ts';
import { condition, nameConflicts } from './names.ts';

const GROUP = 'apiextensions.k8s.io';
const SYSTEM_USER = { username: 'system:apiserver', groups: ['system:masters'] };
const BACKGROUND = {
  gracePeriodSeconds: undefined,
  propagationPolicy: undefined,
  preconditions: {},
} as const;

/**
 * Serves the kinds of CustomResourceDefinitions: accepts their names, adds them to the registry (discovery and OpenAPI
 * follow its version), and when a definition goes away, deletes its objects first.
 */
export class CustomResources implements AsyncDisposable {
  readonly #core: Core;
  readonly #kind: KindInfo;
  readonly #loop: KeyedLoop;
  /** What each definition serves now. */
  readonly #served = new Map<string, readonly KindInfo[]>();
  /** Collections that are being emptied. */
  readonly #draining = new Map<string, Disposable>();

  /** Kinds that were accepted before are served when this returns. */
  static open(core: Core): CustomResources | undefined {
    const kind = core.registry.find(GROUP, 'v1', 'customresourcedefinitions');
    return kind && new CustomResources(core, kind);
  }

  private constructor(core: Core, kind: KindInfo) {
    this.#core = core;
    this.#kind = kind;
    const cache = core.objects.cacheOf(kind);
    for (const entry of cache.range(cache.prefix)) {
      if (isTrue(entry.object, 'Established')) this.#serve(entry.name, entry.object);
    }
    this.#loop = new KeyedLoop(core, 'custom resources', (name) => this.#process(name));
    this.#loop.follow(cache, ({ entry }) => entry.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const draining of this.#draining.values()) draining[Symbol.dispose]();
    await this.#loop[Symbol.asyncDispose]();
  }

  async #process(name: string): Promise<void> {
    const { object } = this.#core.objects.get(this.#kind, '', name) ?? {};
    if (!object) return this.#withdraw(name);
    if (object.metadata.deletionTimestamp) return await this.#empty(name, object);
    const status = this.#acceptance(name, object);
    if (isTrue({ status }, 'Established')) this.#serve(name, object);
    if (!equalJson(status, object['status'])) await this.#writeStatus(name, () => status);
  }

  /** Names are accepted when nobody else in the group has them; then the kinds are established, for ever. */
  #acceptance(name: string, object: UnknownObject): JsonObject {
    const now = formatTime(this.#core.clock.nowMs());
    const status = isObject(object['status']) ? cloneJson(object['status']) : {};
    const own = new Set(this.#served.get(name));
    const others = this.#core.registry.all().filter((kind) => !own.has(kind));
    const conflict = nameConflicts(object, others);
    const accepted = conflict === undefined;
    const names = condition(
      'NamesAccepted',
      accepted,
      accepted ? 'NoConflicts' : conflict.reason,
      accepted ? 'no conflicts found' : conflict.message,
    );
    const established = accepted || isTrue(object, 'Established');
    const reason = established ? 'InitialNamesAccepted' : 'NotAccepted';
    const message = established ? 'the initial names have been accepted' : 'not all names are accepted';
    const conditions = [names, condition('Established', established, reason, message)];
    const before = objectsAt(status, 'conditions');
    status['conditions'] = [
      ...conditions.map((one) => {
        const was = before.find((old) => old['type'] === one['type']);
        const since = was?.['status'] === one['status'] ? was?.['lastTransitionTime'] : undefined;
        return { ...one, lastTransitionTime: since ?? now };
      }),
      ...before.filter((old) => !conditions.some((one) => one['type'] === old['type'])),
    ];
    if (accepted) status['acceptedNames'] = acceptedNames(object);
    return status;
  }

  #serve(name: string, definition: UnknownObject): void {
    let made: KindInfo[];
    try {
      made = customKinds(definition);
    } catch (error) {
      this.#core.log.error('definition not served', { name, reason: messageOf(error) });
      return;
    }
    const { registry } = this.#core;
    const before = this.#served.get(name) ?? [];
    for (const kind of before) {
      if (!made.some((one) => one.version === kind.version)) {
        registry.remove(kind.group, kind.version, kind.plural);
      }
    }
    for (const kind of made) registry.add(kind);
    this.#served.set(name, made);
  }

  #withdraw(name: string): void {
    const { registry, objects } = this.#core;
    const kinds = this.#served.get(name) ?? [];
    this.#draining.get(name)?.[Symbol.dispose]();
    this.#draining.delete(name);
    this.#served.delete(name);
    for (const kind of kinds) registry.remove(kind.group, kind.version, kind.plural);
    const [kind] = kinds;
    // Names are free again.
    const definitions = this.#core.objects.cacheOf(this.#kind);
    for (const entry of definitions.range(definitions.prefix)) {
      if (!isTrue(entry.object, 'NamesAccepted')) this.#loop.mark(entry.name);
    }
    // Whoever still watches is told to list again, and finds that nothing is served there.
    if (kind) objects.hub.cache(kind.storage.collection).reset(objects.hub.revision);
  }

  /** Deletes every object; the definition goes when none is left, however long their finalizers take. */
  async #empty(name: string, definition: UnknownObject): Promise<void> {
    const { objects, clock } = this.#core;
    const kinds = this.#served.get(name) ?? customKinds(definition);
    // As it is stored: no webhook is asked, which may be gone already.
    const kind = kinds.find((one) => one.version === one.storage.kind.version) ?? kinds[0];
    const cache = objects.hub.cache(customCollection(definition));
    if (!isTrue(definition, 'Terminating')) {
      const terminating = {
        ...condition(
          'Terminating',
          true,
          'InstanceDeletionInProgress',
          'CustomResource deletion is in progress',
        ),
        lastTransitionTime: formatTime(clock.nowMs()),
      };
      await this.#writeStatus(name, (status) => ({
        ...status,
        conditions: [...objectsAt(status, 'conditions'), terminating],
      }));
    }
    if (!this.#draining.has(name)) {
      const event = ({ type }: { type: string }): void => {
        if (type === 'DELETED') this.#loop.mark(name);
      };
      this.#draining.set(name, cache.listen({ namespace: '', event, tick: () => {}, lost: () => {} }));
    }
    for (const entry of kind ? Array.from(cache.range(cache.prefix)) : []) {
      if (kind && !entry.object.metadata.deletionTimestamp) await this.#delete(kind, entry);
    }
    await objects.hub.fresh();
    if (cache.size === 0) await this.#release(name);
  }

  async #delete(kind: KindInfo, { namespace, name }: { namespace: string; name: string }): Promise<void> {
    try {
      await remove(this.#core, this.#context(kind, namespace, name, ''), BACKGROUND);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 404) throw error;
    }
  }

  async #release(name: string): Promise<void> {
    await this.#update(name, '', (old) => {
      const object = cloneJson(old);
      const left = (object.metadata.finalizers ?? []).filter((one) => one !== CUSTOM_RESOURCE_CLEANUP);
      if (left.length > 0) object.metadata.finalizers = left;
      else delete object.metadata.finalizers;
      return object;
    });
  }

  async #writeStatus(name: string, change: (status: JsonObject) => JsonObject): Promise<void> {
    await this.#update(name, 'status', (old) => {
      const status = isObject(old['status']) ? old['status'] : {};
      return { ...cloneJson(old), status: change(status) };
    });
  }

  async #update(
    name: string,
    subresource: string,
    change: (old: UnknownObject) => UnknownObject,
  ): Promise<void> {
    try {
      const context = this.#context(this.#kind, '', name, subresource);
      await update(this.#core, context, { change, replace: false });
    } catch (error) {
      // Gone meanwhile: its deletion marks the name again.
      if ((error as { code?: unknown }).code !== 404) throw error;
    }
  }

  #context(kind: KindInfo, namespace: string, name: string, subresource: string): WriteContext {
    return {
      kind,
      namespace,
      name,
      subresource,
      user: SYSTEM_USER,
      dryRun: false,
      fieldManager: 'kube-apiserver',
      options: {},
      warn: () => {},
    };
  }
}

function isTrue(object: JsonObject, type: string): boolean {
  return objectsAt(object['status'], 'conditions').some(
    (one) => one['type'] === type && stringAt(one, 'status') === 'True',
  );
}

function acceptedNames(definition: UnknownObject): JsonObject {
  const { shortNames, categories, ...names } = customNames(definition);
  return {
    ...names,
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
  };
}
