import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { messageOf } from '../../../src/base/fault.ts';
import { repeat } from '../../../src/base/repeat.ts';
import type { Fallthrough } from '../../fallthrough.ts';
import type { Plugin, PluginDeps, ZoneSource } from '../../plugin.ts';
import type { Handler, Outcome, Query } from '../../query.ts';
import type { UserRegex } from '../../user-regex.ts';
import { foldName, isWithin, parseName } from '../../wire/name.ts';
import { ZoneFile } from '../../zone/zone-file.ts';
import { ServedZones } from '../../zone/served-zones.ts';

export interface AutoOptions {
  /** Only zones within these are served. */
  readonly zones: readonly string[];
  readonly directory: string;
  /** Of the file's name. */
  readonly pattern: UserRegex;
  /** `{1}` stands for the first group of the pattern. */
  readonly origin: string;
  /** 0 = read once. */
  readonly reloadMs: number;
  /** A changed file is taken only with another serial. */
  readonly bySerial: boolean;
  readonly fallthrough: Fallthrough;
}

/** Files of one folder that are looked at; the rest is named in the log. */
const FILES = 100_000;

export async function openAuto(deps: PluginDeps, options: AutoOptions): Promise<Plugin> {
  const plugin = new Auto(deps, options);
  await plugin.scan();
  plugin.follow();
  return plugin;
}

/** Serves every zone whose master file lies in a folder, as files come and go. */
class Auto implements Plugin {
  readonly name = 'auto';
  readonly #deps: PluginDeps;
  readonly #options: AutoOptions;
  readonly #files: ServedZones<ZoneFile>;
  #following: Disposable | undefined;

  constructor(deps: PluginDeps, options: AutoOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#files = new ServedZones(deps, options);
  }

  get zoneSource(): ZoneSource {
    return this.#files.source;
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    return this.#files.serve(query, next);
  }

  /** Takes new files in, lets those go that are gone, reads those again that have changed. */
  async scan(): Promise<void> {
    try {
      const found = await this.#found();
      for (const [origin, { path }] of this.#files.byOrigin) {
        if (found.get(origin) === path) continue;
        this.#files.byOrigin.delete(origin);
        this.#deps.log.info('zone gone', { zone: origin, path });
      }
      for (const [origin, path] of found) await this.#take(origin, path);
    } catch (error) {
      const { directory } = this.#options;
      this.#deps.log.error('folder not read', { path: directory, reason: messageOf(error) });
    }
  }

  follow(): void {
    this.#following = repeat(this.#deps.clock, this.#options.reloadMs, () => this.scan());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#following?.[Symbol.dispose]();
  }

  /** Paths by origin; of two files for one zone the first by name counts. */
  async #found(): Promise<ReadonlyMap<string, string>> {
    const { directory } = this.#options;
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
    if (paths.length > FILES)
      this.#deps.log.warn('folder has too many files', { path: directory, most: FILES });
    const found = new Map<string, string>();
    for (const path of paths.slice(0, FILES)) {
      const origin = this.#originOf(basename(path));
      if (origin !== undefined && !found.has(origin)) found.set(origin, path);
    }
    return found;
  }

  #originOf(name: string): string | undefined {
    const { pattern, origin, zones } = this.#options;
    const match = pattern.match(name);
    if (!match) return undefined;
    const text = origin.replace(/\{(\d{1,2})\}/g, (_all, i: string) => match.groups[Number(i)] ?? '');
    const zone = parseName(text);
    return zone !== undefined && zones.some((one) => isWithin(zone, one)) ? foldName(zone) : undefined;
  }

  async #take(origin: string, path: string): Promise<void> {
    const file = this.#files.byOrigin.get(origin) ?? new ZoneFile(this.#deps, path, origin, this.#options);
    this.#files.byOrigin.set(origin, file);
    try {
      if (!(await file.load())) return;
      this.#deps.log.info('zone loaded', { zone: origin, path, serial: file.zone?.serial });
      this.#files.changed(origin);
    } catch (error) {
      this.#deps.log.error('zone file not read', { path, reason: messageOf(error) });
    }
  }
}
