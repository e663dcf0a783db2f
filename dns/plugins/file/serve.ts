import { hasCode, messageOf } from '../../../src/base/fault.ts';
import { repeat } from '../../../src/base/repeat.ts';
import type { Fallthrough } from '../../fallthrough.ts';
import type { Plugin, PluginDeps, ZoneSource } from '../../plugin.ts';
import type { Handler, Outcome, Query } from '../../query.ts';
import { ZoneFile } from '../../zone/zone-file.ts';
import { ServedZones } from '../../zone/served-zones.ts';

export interface FileOptions {
  readonly path: string;
  readonly zones: readonly string[];
  /** 0 = read once. */
  readonly reloadMs: number;
  /** A changed file is taken only with another serial. */
  readonly bySerial: boolean;
  readonly fallthrough: Fallthrough;
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
  readonly #files: ServedZones<ZoneFile>;
  #following: Disposable | undefined;

  constructor(deps: PluginDeps, options: FileOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#files = new ServedZones(deps, options);
    for (const zone of options.zones)
      this.#files.byOrigin.set(zone, new ZoneFile(deps, options.path, zone, options));
  }

  get zoneSource(): ZoneSource {
    return this.#files.source;
  }

  async open(): Promise<void> {
    for (const file of this.#files.byOrigin.values()) {
      try {
        await file.load();
      } catch (error) {
        if (!hasCode(error, 'ZONE_UNREADABLE')) throw error;
        this.#deps.log.error('zone file not read', { path: file.path, reason: messageOf(error) });
      }
    }
    this.#following = repeat(this.#deps.clock, this.#options.reloadMs, () => this.#reload());
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    return this.#files.serve(query, next);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#following?.[Symbol.dispose]();
  }

  async #reload(): Promise<void> {
    for (const [name, file] of this.#files.byOrigin) {
      try {
        if (!(await file.load())) continue;
        this.#deps.log.info('zone reloaded', { zone: name, serial: file.zone?.serial });
        this.#files.changed(name);
      } catch (error) {
        this.#deps.log.error('zone not reloaded, the old one stays', {
          path: file.path,
          reason: messageOf(error),
        });
      }
    }
  }
}
