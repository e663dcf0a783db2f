import type { PluginDeps, ZoneSource } from '../plugin.ts';
import type { Handler, Outcome, Query } from '../query.ts';
import { longestZone, serveZone, type ServeZoneOptions, zoneNotReady } from './serve.ts';
import type { ZoneFile } from './zone-file.ts';
import { ZoneListeners } from './zone-listeners.ts';

/** Zones served from master files, by origin: what `file` and `auto` have in common. */
export class ZoneFiles {
  readonly byOrigin = new Map<string, ZoneFile>();
  readonly #deps: PluginDeps;
  readonly #options: ServeZoneOptions;
  readonly #listeners = new ZoneListeners();

  constructor(deps: PluginDeps, options: ServeZoneOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get source(): ZoneSource {
    return {
      zones: [...this.byOrigin.keys()],
      records: (zone) => this.byOrigin.get(zone)?.zone?.records(),
      serial: (zone) => this.byOrigin.get(zone)?.zone?.serial,
      subscribe: (listener) => this.#listeners.subscribe(listener),
    };
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    const name = longestZone(query.name, this.byOrigin.keys());
    if (name === undefined) return next(query);
    const zone = this.byOrigin.get(name)?.zone;
    if (!zone) return zoneNotReady(name, 'the zone file could not be read');
    return serveZone(this.#deps, zone, query, next, this.#options);
  }

  /** Tells those who follow zones that this one has a new version. */
  changed(origin: string): void {
    this.#listeners.changed(origin);
  }
}
