import { messageOf } from '../../../src/base/fault.ts';
import { canonicalAddress } from '../../../src/net/ip.ts';
import type { Fallthrough } from '../../fallthrough.ts';
import type { Plugin, PluginDeps, ZoneSource } from '../../plugin.ts';
import { failure, type Handler, type Outcome, type Peer, type Query } from '../../query.ts';
import { replyTo } from '../../wire/message.ts';
import { tsigKey } from '../tsig/key-of.ts';
import type { Primary } from '../../zone/transfer-client.ts';
import { ServedZones } from '../../zone/served-zones.ts';
import { CATALOG_MEMBERS, readCatalog } from './catalog.ts';
import { ZoneReplica } from './replica.ts';

export interface SecondaryOptions {
  readonly zones: readonly string[];
  readonly primaries: readonly Peer[];
  /** Name of the key (`tsig`) that transfers are signed with. */
  readonly key: string | undefined;
  /** The zones are catalogs (RFC 9432) whose members are fetched too, if they are within these; empty = all. */
  readonly catalog: readonly string[] | undefined;
  readonly fallthrough: Fallthrough;
}

/** Throws Fault TSIG_KEY_UNKNOWN. */
export function openSecondary(deps: PluginDeps, options: SecondaryOptions): Plugin {
  return new Secondary(deps, options);
}

/** Serves zones fetched from their primaries, and hears when they change. */
class Secondary implements Plugin {
  readonly name = 'secondary';
  readonly opcodes = ['NOTIFY'] as const;
  readonly #deps: PluginDeps;
  readonly #options: SecondaryOptions;
  readonly #primaries: readonly Primary[];
  readonly #zones: ServedZones<ZoneReplica>;
  /** Members by their catalog. */
  readonly #members = new Map<string, ReadonlySet<string>>();

  constructor(deps: PluginDeps, options: SecondaryOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#zones = new ServedZones(deps, options);
    const key = options.key === undefined ? undefined : tsigKey(deps, options.key);
    this.#primaries = options.primaries.map((peer) => ({ ...peer, key }));
    for (const zone of options.zones) this.#follow(zone);
  }

  get zoneSource(): ZoneSource {
    return this.#zones.source;
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    if (query.request.opcode !== 'NOTIFY') return this.#zones.serve(query, next);
    const replica = this.#zones.holding(query.name);
    return replica ? this.#notified(query, replica) : next(query);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const replica of this.#zones.byOrigin.values()) replica[Symbol.dispose]();
  }

  #follow(zone: string): void {
    const onChange = (): void => {
      this.#zones.changed(zone);
      if (this.#options.catalog && this.#options.zones.includes(zone)) this.#followMembers(zone);
    };
    this.#zones.byOrigin.set(
      zone,
      new ZoneReplica(this.#deps, { zone, primaries: this.#primaries, onChange }),
    );
  }

  /** Takes new members of a catalog in and lets those go that it names no more. */
  #followMembers(catalog: string): void {
    const zone = this.#zones.byOrigin.get(catalog)?.zone;
    if (!zone) return;
    const read = readCatalog(zone, this.#options.catalog ?? []);
    if (!read.ok) {
      this.#deps.log.warn('catalog not read, its members stay', { zone: catalog, reason: read.reason });
      return;
    }
    const before = this.#members.get(catalog) ?? new Set<string>();
    const others = new Set(this.#zones.byOrigin.keys()).difference(before);
    // A zone that is served already, or a member of another catalog, is not taken over (RFC 9432 section 5.2).
    const members = new Set(read.members.filter((member) => !others.has(member)).slice(0, CATALOG_MEMBERS));
    for (const gone of before.difference(members)) {
      this.#zones.byOrigin.get(gone)?.[Symbol.dispose]();
      this.#zones.byOrigin.delete(gone);
    }
    for (const added of members.difference(before)) this.#follow(added);
    this.#members.set(catalog, members);
    const ignored = read.members.length - members.size;
    this.#deps.log.info('catalog read', { zone: catalog, members: members.size, ignored });
  }

  /** RFC 1996: only a primary of the zone is heard, known by its address or its key. */
  #notified(query: Query, replica: ZoneReplica): Outcome {
    const { key, primaries } = this.#options;
    const client = canonicalAddress(query.client.address);
    const known =
      primaries.some(({ address }) => canonicalAddress(address) === client) ||
      (key !== undefined && query.signed?.keyName === key);
    if (!known) {
      this.#deps.log.warn('notify from a stranger', { zone: query.name, client });
      return failure('REFUSED', `${client} is no primary of ${query.name}`);
    }
    void replica.refresh().catch((error: unknown) => {
      this.#deps.log.error('refresh failed', { zone: query.name, reason: messageOf(error) });
    });
    return { kind: 'reply', message: replyTo(query.request, { authoritative: true }) };
  }
}
