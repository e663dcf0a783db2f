import { messageOf } from '../../../src/base/fault.ts';
import { canonicalAddress } from '../../../src/net/ip.ts';
import {
  failure,
  type Handler,
  type Outcome,
  type Peer,
  type Plugin,
  type PluginDeps,
  type Query,
  type ZoneSource,
} from '../../plugin.ts';
import { replyTo } from '../../wire/message.ts';
import { tsigKey } from '../tsig/key-of.ts';
import { longestZone, serveZone, zoneNotReady } from '../../zone/serve.ts';
import { ZoneListeners } from '../../zone/zone-listeners.ts';
import { ZoneReplica } from './replica.ts';

export interface SecondaryOptions {
  readonly zones: readonly string[];
  readonly primaries: readonly Peer[];
  /** Name of the key (`tsig`) that transfers are signed with. */
  readonly key: string | undefined;
  readonly fallthrough: readonly string[] | undefined;
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
  readonly #replicas: ReadonlyMap<string, ZoneReplica>;
  readonly #listeners = new ZoneListeners();

  constructor(deps: PluginDeps, options: SecondaryOptions) {
    this.#deps = deps;
    this.#options = options;
    const key = options.key === undefined ? undefined : tsigKey(deps, options.key);
    const primaries = options.primaries.map((peer) => ({ ...peer, key }));
    this.#replicas = new Map(
      options.zones.map((zone) => [
        zone,
        new ZoneReplica(deps, {
          zone,
          primaries,
          onChange: () => this.#listeners.changed(zone),
        }),
      ]),
    );
  }

  get zoneSource(): ZoneSource {
    return {
      zones: this.#options.zones,
      records: (zone) => this.#replicas.get(zone)?.zone?.records(),
      serial: (zone) => this.#replicas.get(zone)?.zone?.serial,
      subscribe: (listener) => this.#listeners.subscribe(listener),
    };
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    const name = longestZone(query.name, this.#replicas.keys());
    if (name === undefined) return next(query);
    const replica = this.#replicas.get(name)!;
    if (query.request.opcode === 'NOTIFY') return this.#notified(query, replica);
    if (!replica.zone) return zoneNotReady(name, replica.why);
    return serveZone(this.#deps, replica.zone, query, next, this.#options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const replica of this.#replicas.values()) replica[Symbol.dispose]();
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
