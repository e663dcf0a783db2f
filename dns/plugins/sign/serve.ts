import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, messageOf } from '../../../src/base/fault.ts';
import { repeat } from '../../../src/base/repeat.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import { formatRecord } from '../../wire/zone-text.ts';
import type { ZoneData } from '../../zone/zone-data.ts';
import { ZoneFile } from '../../zone/zone-file.ts';
import type { SigningKey } from '../dnssec/key.ts';
import { signZone } from './sign-zone.ts';

export interface SignOptions {
  /** The master file that is signed. */
  readonly path: string;
  readonly zones: readonly string[];
  readonly keys: readonly SigningKey[];
  /** Where `db.<zone>.signed` is written. */
  readonly directory: string;
}

const DAY_SECONDS = 86_400;
const INCEPTION_BEFORE_SECONDS = 3 * 3600;
const VALID_SECONDS = 32 * DAY_SECONDS;
/** A signed file is made anew when its signatures have less than this to live. */
const RENEW_BEFORE_SECONDS = 14 * DAY_SECONDS;
/** How often source and signatures are looked at. */
const LOOK_MS = 60_000;

export async function openSign(deps: PluginDeps, options: SignOptions): Promise<Plugin> {
  const plugin = new Sign(deps, options);
  await plugin.look();
  plugin.follow();
  return plugin;
}

/** Keeps a signed copy of a master file for `file` to serve: after each change of it, and before signatures end. */
class Sign implements Plugin {
  readonly name = 'sign';
  readonly transparent = true;
  readonly #deps: PluginDeps;
  readonly #options: SignOptions;
  #following: Disposable | undefined;
  #looking: Promise<void> | undefined;
  /** When each zone's source had changed last as it was signed: both files may be written in one tick of the kernel's clock. */
  readonly #signedOfMs = new Map<string, number>();

  constructor(deps: PluginDeps, options: SignOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  serve: Plugin['serve'] = (query, next) => next(query);

  look(): Promise<void> {
    this.#looking = this.#look();
    return this.#looking;
  }

  follow(): void {
    this.#following = repeat(this.#deps.clock, LOOK_MS, () => this.look());
  }

  /** What is being written is written to its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#following?.[Symbol.dispose]();
    await this.#looking;
  }

  async #look(): Promise<void> {
    for (const zone of this.#options.zones) {
      try {
        await this.#signIfDue(zone);
      } catch (error) {
        this.#deps.log.error('zone not signed', { zone, path: this.#options.path, reason: messageOf(error) });
      }
    }
  }

  async #signIfDue(zone: string): Promise<void> {
    const { path, keys, directory } = this.#options;
    const target = join(directory, `db.${zone === '.' ? 'root' : zone.slice(0, -1)}.signed`);
    const now = Math.floor(this.#deps.clock.nowMs() / 1000);
    const signed = await readZone(this.#deps, target, zone);
    const changedMs = (await stat(path)).mtimeMs;
    const signedOfMs = this.#signedOfMs.get(zone) ?? (signed && (await signedSince(target, changedMs)));
    if (signed && signedOfMs === changedMs && !endsSoon(signed, keys, now)) return;
    const source = new ZoneFile(this.#deps, path, zone);
    await source.load();
    if (!source.zone) return;
    const validity = { inception: now - INCEPTION_BEFORE_SECONDS, expiration: now + VALID_SECONDS };
    // Serials count seconds, but never go back (RFC 1982).
    const serial = Math.max(now, source.zone.serial + 1, (signed?.serial ?? 0) + 1) >>> 0;
    const result = await signZone(
      source.zone,
      keys.filter((key) => key.zone === zone),
      validity,
      serial,
    );
    await mkdir(directory, { recursive: true });
    await writeFile(
      `${target}.new`,
      Array.from(result.records(), (each) => `${formatRecord(each)}\n`).join(''),
    );
    await rename(`${target}.new`, target);
    this.#signedOfMs.set(zone, changedMs);
    this.#deps.log.info('zone signed', { zone, path: target, serial, records: result.size });
  }
}

/** Undefined when it is not there or not fit for service: it is made anew then. */
async function readZone(deps: PluginDeps, path: string, zone: string): Promise<ZoneData | undefined> {
  const file = new ZoneFile(deps, path, zone);
  try {
    await file.load();
  } catch (error) {
    if (!hasCode(error, 'ZONE_UNREADABLE') && !hasCode(error, 'ZONE_INVALID')) throw error;
  }
  return file.zone;
}

/** `changedMs` when the signed file was written then or later. */
async function signedSince(path: string, changedMs: number): Promise<number | undefined> {
  return (await stat(path)).mtimeMs >= changedMs ? changedMs : undefined;
}

/** By another key than ours, or with too little time left. */
function endsSoon(zone: ZoneData, keys: readonly SigningKey[], now: number): boolean {
  const signatures = zone
    .rrset(zone.origin, 'RRSIG')
    .filter((each) => each.type === 'RRSIG' && each.data.typeCovered === 'SOA');
  return keys
    .filter((key) => key.zone === zone.origin)
    .some(
      ({ tag }) =>
        !signatures.some(
          (each) =>
            each.type === 'RRSIG' &&
            each.data.keyTag === tag &&
            each.data.expiration - now > RENEW_BEFORE_SECONDS,
        ),
    );
}
