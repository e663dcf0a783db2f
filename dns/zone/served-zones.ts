import type { PluginDeps, ZoneSource } from '../plugin.ts';
import type { Handler, Outcome, Query } from '../query.ts';
import { longestZone, serveZone, type ServeZoneOptions, zoneNotReady } from './serve.ts';
import type { ZoneData } from './zone-data.ts';

/** Where the data of one zone comes from: a file, a primary. */
interface Served {
  readonly zone: ZoneData | undefined;
  /** Why there is no data yet. */
  readonly why: string;
}

/** The zones of one plugin, by origin: answers from the longest that holds a name, and tells who follows them. */
export class ServedZones<S extends Served> {
  readonly byOrigin = new Map<string, S>();
  readonly #deps: PluginDeps;
  readonly #options: ServeZoneOptions;
  readonly #listeners = new Set<(zone: string) => void>();

  constructor(deps: PluginDeps, options: ServeZoneOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** For transfers. */
  get source(): ZoneSource {
    return {
      zones: [...this.byOrigin.keys()],
      records: (zone) => this.byOrigin.get(zone)?.zone?.records(),
      serial: (zone) => this.byOrigin.get(zone)?.zone?.serial,
      subscribe: (listener) => {
        this.#listeners.add(listener);
        return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
      },
    };
  }

  /** The longest zone that holds the name. */
  holding(name: string): S | undefined {
    const origin = longestZone(name, this.byOrigin.keys());
    return origin === undefined ? undefined : this.byOrigin.get(origin);
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    const origin = longestZone(query.name, this.byOrigin.keys());
    if (origin === undefined) return next(query);
    const { zone, why } = this.byOrigin.get(origin)!;
    return zone ? serveZone(this.#deps, zone, query, next, this.#options) : zoneNotReady(origin, why);
  }

  /** Tells those who follow zones that this one has a new version. */
  changed(origin: string): void {
    for (const listener of this.#listeners) listener(origin);
  }
}
