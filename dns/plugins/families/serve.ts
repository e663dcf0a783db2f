import type { Snapshot, SnapshotSource } from '../../../endpoints/snapshot.ts';
import { familyOf, type Family } from '../../../src/net/ip.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import type { Outcome, Query } from '../../query.ts';
import { record, replyTo } from '../../wire/message.ts';
import { isWithin } from '../../wire/name.ts';
import { EDE } from '../../wire/numbers.ts';

export interface FamiliesOptions {
  /** auto: what the pod ranges of the nodes say. */
  readonly family: 'auto' | 'ipv4' | 'ipv6';
  readonly zones: readonly string[];
}

/** For how long clients may keep the denial. */
const DENIAL_SECONDS = 300;

/**
 * Answers AAAA (or A) questions for names outside with NODATA when no client has such an address: half of the
 * questions of a single-stack cluster are these. Names of the cluster do not come here.
 */
export function openFamilies(deps: PluginDeps, options: FamiliesOptions): Plugin & Disposable {
  const cluster = new ClusterFamily(deps.snapshots);
  const family = (): Family | undefined => {
    if (options.family === 'auto') return cluster.only;
    return options.family === 'ipv4' ? 'IPv4' : 'IPv6';
  };
  return {
    name: 'families',
    serve: (query, next) => {
      const { type, class: asked } = query.question;
      if (asked !== 'IN' || (type !== 'A' && type !== 'AAAA')) return next(query);
      const only = family();
      const wanted = type === 'A' ? 'IPv4' : 'IPv6';
      const mine = options.zones.some((zone) => isWithin(query.name, zone));
      return only === undefined || only === wanted || !mine ? next(query) : nothing(query, wanted);
    },
    [Symbol.dispose]: () => cluster[Symbol.dispose](),
    [Symbol.asyncDispose]: async () => cluster[Symbol.dispose](),
  };
}

/** NODATA that may be kept (RFC 2308): its SOA stands at the name, since nobody was asked where the zone begins. */
function nothing({ request, question }: Query, family: Family): Outcome {
  const soa = record(question.name, DENIAL_SECONDS, 'SOA', {
    mname: 'families.invalid.',
    rname: 'hostmaster.families.invalid.',
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: DENIAL_SECONDS,
  });
  const message = replyTo(request, { recursionAvailable: true, authorities: [soa] });
  const text = `clients of this server have no ${family}`;
  return { kind: 'reply', message, extended: { code: EDE.FILTERED, text } };
}

/** The one family that pods have; looked at again when nodes change. */
class ClusterFamily implements Disposable {
  readonly #source: SnapshotSource;
  readonly #subscription: Disposable;
  #version = -1;
  only: Family | undefined;

  constructor(source: SnapshotSource) {
    this.#source = source;
    this.#subscription = source.subscribe(() => this.#follow());
    this.#follow();
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }

  #follow(): void {
    const { complete, nodes } = this.#source.changesSince(this.#version);
    this.#version = this.#source.snapshot.version;
    if (!complete || nodes.size > 0) this.only = onlyFamily(this.#source.snapshot.nodes);
  }
}

/** Undefined when nodes have both families, or say nothing. A network without pod ranges is told by node addresses. */
function onlyFamily(nodes: Snapshot['nodes']): Family | undefined {
  const all = [...nodes.values()];
  const ranges = all.flatMap(({ podCIDRs }) => podCIDRs.map((cidr) => cidr.split('/')[0]!));
  const told = ranges.length > 0 ? ranges : all.flatMap(({ addresses }) => addresses);
  const families = new Set(told.map(familyOf).filter((family) => family !== undefined));
  return families.size === 1 ? [...families][0] : undefined;
}
