import type { Informer } from '../api/client/informer.ts';
import type { KubeObject } from '../api/kinds/meta.ts';
import type { Clock } from '../base/clock.ts';
import { WRITE_VISIBLE_MS } from './limits.ts';

interface Pending {
  /** The newest revision written for the key. */
  revision: number;
  /** uid -> namespace and name of objects whose deletion was asked for. */
  readonly deleted: Map<string, { namespace: string | undefined; name: string }>;
  untilMs: number;
}

/**
 * Keeps a loop from acting twice on a stale cache: after creating or deleting dependents for a key, the loop
 * waits until the informer has seen those writes. Revisions grow store-wide, so "seen" is a comparison; no
 * counting of expected events that a relist could swallow.
 */
export class OwnWrites<T extends KubeObject> {
  readonly #clock: Clock;
  readonly #informer: Informer<T>;
  readonly #pending = new Map<string, Pending>();

  constructor(deps: { clock: Clock; informer: Informer<T> }) {
    this.#clock = deps.clock;
    this.#informer = deps.informer;
  }

  /** The server's reply to a creation or change made for the key. */
  wrote(key: string, reply: KubeObject): void {
    const revision = Number(reply.metadata.resourceVersion);
    if (!Number.isSafeInteger(revision)) return; // revisions that cannot be compared: trust the cache
    const pending = this.#at(key);
    pending.revision = Math.max(pending.revision, revision);
  }

  deleted(key: string, object: T): void {
    const { uid, namespace, name } = object.metadata;
    if (uid) this.#at(key).deleted.set(uid, { namespace, name });
  }

  /** True when the cache shows every write made for the key, or waiting for them has been given up. */
  visible(key: string): boolean {
    const pending = this.#pending.get(key);
    if (!pending) return true;
    for (const [uid, { namespace, name }] of pending.deleted) {
      const cached = this.#informer.get(namespace, name);
      if (!cached || cached.metadata.uid !== uid || cached.metadata.deletionTimestamp) {
        pending.deleted.delete(uid);
      }
    }
    const seen = Number(this.#informer.resourceVersion) >= pending.revision && pending.deleted.size === 0;
    if (!seen && this.#clock.monotonicMs() < pending.untilMs) return false;
    this.#pending.delete(key);
    return true;
  }

  forget(key: string): void {
    this.#pending.delete(key);
  }

  #at(key: string): Pending {
    const untilMs = this.#clock.monotonicMs() + WRITE_VISIBLE_MS;
    const present = this.#pending.get(key);
    if (present) {
      present.untilMs = untilMs;
      return present;
    }
    const made: Pending = { revision: 0, deleted: new Map(), untilMs };
    this.#pending.set(key, made);
    return made;
  }
}
