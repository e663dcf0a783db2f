import { hasCode, messageOf } from '../../../src/base/fault.ts';
import type { Handler, Outcome, Plugin, PluginDeps, Query, ZoneSource } from '../../plugin.ts';
import { longestZone, serveZone, zoneNotReady } from '../../zone/serve.ts';
import { ZoneFile } from '../../zone/zone-file.ts';
import { ZoneListeners } from '../../zone/zone-listeners.ts';

export interface FileOptions {
  readonly path: string;
  readonly zones: readonly string[];
  /** 0 = read once. */
  readonly reloadMs: number;
  readonly fallthrough: readonly string[] | undefined;
}

/** Rejects with Fault ZONE_INVALID for a file that is no zone; one that is not there may come later. */
export async function openFile(deps: PluginDeps, options: FileOptions): Promise<Plugin> {
  const plugin = new File(deps, options);
  await plugin.open();
  return plugin;
}

/** Serves zones from a master file. */
class File implements Plugin {
  readonly name = 'file';
  readonly #deps: PluginDeps;
  readonly #options: FileOptions;
  readonly #files: ReadonlyMap<string, ZoneFile>;
  readonly #listeners = new ZoneListeners();
  #timer: Disposable | undefined;
  #closed = false;

  constructor(deps: PluginDeps, options: FileOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#files = new Map(options.zones.map((zone) => [zone, new ZoneFile(deps, options.path, zone)]));
  }

  get zoneSource(): ZoneSource {
    return {
      zones: this.#options.zones,
      records: (zone) => this.#files.get(zone)?.zone?.records(),
      serial: (zone) => this.#files.get(zone)?.zone?.serial,
      subscribe: (listener) => this.#listeners.subscribe(listener),
    };
  }

  async open(): Promise<void> {
    for (const file of this.#files.values()) {
      try {
        await file.load();
      } catch (error) {
        if (!hasCode(error, 'ZONE_UNREADABLE')) throw error;
        this.#deps.log.error('zone file not read', { path: file.path, reason: messageOf(error) });
      }
    }
    this.#wait();
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    const name = longestZone(query.name, this.#files.keys());
    if (name === undefined) return next(query);
    const zone = this.#files.get(name)?.zone;
    if (!zone) return zoneNotReady(name, 'the zone file could not be read');
    return serveZone(this.#deps, zone, query, next, this.#options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #wait(): void {
    const { reloadMs } = this.#options;
    if (reloadMs > 0 && !this.#closed) {
      this.#timer = this.#deps.clock.setTimer(reloadMs, () => void this.#reload());
    }
  }

  async #reload(): Promise<void> {
    for (const [name, file] of this.#files) {
      try {
        if (!(await file.load())) continue;
        this.#deps.log.info('zone reloaded', { zone: name, serial: file.zone?.serial });
        this.#listeners.changed(name);
      } catch (error) {
        this.#deps.log.error('zone not reloaded, the old one stays', {
          path: file.path,
          reason: messageOf(error),
        });
      }
    }
    this.#wait();
  }
}
