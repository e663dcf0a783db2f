import type { HeldServer, IpvsChange, IpvsServer, ServerKey } from '../../src/net/ipvs.ts';
import type { VirtualServer } from './compile.ts';

/** A virtual server in the shadow of the kernel. */
interface Shadow {
  server: IpvsServer;
  readonly weights: Map<string, number>;
}

export interface ServerChanges {
  /** Before addresses are bound: servers and real servers that are new or differ, and real servers that leave. */
  readonly first: readonly IpvsChange[];
  /** After addresses went: servers nobody wants. */
  readonly last: readonly IpvsChange[];
}

/**
 * The shadow of the kernel's virtual servers. A real server that is not wanted any more gets weight 0, keeps its
 * connections, and is deleted when they have ended (UDP and SCTP know no end: at once).
 */
export class ServerPlan {
  readonly #held = new Map<ServerKey, Shadow>();
  readonly #draining = new Map<ServerKey, Set<string>>();

  constructor(held: ReadonlyMap<ServerKey, HeldServer>) {
    for (const [key, { server, weights }] of held) this.#held.set(key, { server, weights: new Map(weights) });
  }

  get keys(): Iterable<ServerKey> {
    return this.#held.keys();
  }

  /** Virtual servers with real servers that wait for their connections to end. */
  get draining(): readonly ServerKey[] {
    return [...this.#draining.keys()];
  }

  /** What brings the named servers to what is wanted; the shadow is there already. */
  bring(keys: Iterable<ServerKey>, wanted: (key: ServerKey) => VirtualServer | undefined): ServerChanges {
    const first: IpvsChange[] = [];
    const last: IpvsChange[] = [];
    for (const key of keys) {
      const server = wanted(key);
      if (server) this.#bringOne(key, server, first);
      else if (this.#held.delete(key)) {
        this.#draining.delete(key);
        last.push({ verb: 'delete-server', key });
      }
    }
    return { first, last };
  }

  /** Deletes the real servers of a virtual server that have no connection left. */
  retire(key: ServerKey, connections: ReadonlyMap<string, number>): readonly IpvsChange[] {
    const changes: IpvsChange[] = [];
    const waiting = this.#draining.get(key) ?? new Set();
    for (const real of waiting) {
      if ((connections.get(real) ?? 0) > 0) continue;
      waiting.delete(real);
      if (this.#held.get(key)?.weights.delete(real)) changes.push({ verb: 'delete-real', key, real });
    }
    if (waiting.size === 0) this.#draining.delete(key);
    return changes;
  }

  #bringOne(key: ServerKey, wanted: VirtualServer, changes: IpvsChange[]): void {
    const { scheduler, persistSeconds, flags } = wanted;
    const server: IpvsServer = { scheduler, persistSeconds, flags };
    let shadow = this.#held.get(key);
    if (!shadow) {
      changes.push({ verb: 'add-server', key, server });
      this.#held.set(key, (shadow = { server, weights: new Map() }));
    } else if (!sameServer(shadow.server, server)) {
      changes.push({ verb: 'edit-server', key, server });
      shadow.server = server;
    }
    for (const real of wanted.reals) {
      const weight = shadow.weights.get(real);
      if (weight === undefined) changes.push({ verb: 'add-real', key, real, weight: 1 });
      else if (weight !== 1) changes.push({ verb: 'edit-real', key, real, weight: 1 });
      this.#draining.get(key)?.delete(real);
      shadow.weights.set(real, 1);
    }
    const reals = new Set(wanted.reals);
    for (const [real, weight] of shadow.weights)
      if (!reals.has(real)) this.#letGo(key, shadow, real, weight, changes);
  }

  #letGo(key: ServerKey, shadow: Shadow, real: string, weight: number, changes: IpvsChange[]): void {
    if (!key.startsWith('tcp ')) {
      shadow.weights.delete(real);
      changes.push({ verb: 'delete-real', key, real });
      return;
    }
    if (weight !== 0) changes.push({ verb: 'edit-real', key, real, weight: 0 });
    shadow.weights.set(real, 0);
    const waiting = this.#draining.get(key);
    if (waiting) waiting.add(real);
    else this.#draining.set(key, new Set([real]));
  }
}

function sameServer(a: IpvsServer, b: IpvsServer): boolean {
  return a.scheduler === b.scheduler && a.persistSeconds === b.persistSeconds && a.flags === b.flags;
}
