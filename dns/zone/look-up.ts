import { record, type Question, type ResourceRecord } from '../wire/message.ts';
import {
  foldName,
  isWithin,
  joinLabels,
  labelsBelow,
  parentName,
  parseName,
  splitLabels,
} from '../wire/name.ts';
import type { RecordType } from '../wire/numbers.ts';
import { ALIAS_CHAIN } from './limits.ts';
import type { ZoneData, ZoneNode } from './zone-data.ts';

/** What a zone says to a question (RFC 1034 section 4.3.2). */
export interface ZoneAnswer {
  readonly rcode: 'NOERROR' | 'NXDOMAIN' | 'YXDOMAIN';
  /** False for a delegation. */
  readonly authoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  /** An alias leads out of the zone; somebody else may look this up. */
  readonly outside: string | undefined;
}

export interface LookUpOptions {
  /** Signatures and proofs are wanted, if the zone has them. */
  readonly dnssec: boolean;
  /** ANY gets one set of records instead of all (RFC 8482 section 4.1): who forges his address must not gain by it. */
  readonly brief?: boolean;
}

/** Answers from one zone, which must hold the name. */
export function lookUpZone(
  zone: ZoneData,
  { name, type }: Pick<Question, 'name' | 'type'>,
  options: LookUpOptions,
): ZoneAnswer {
  const walk = new ZoneWalk(zone, type, { ...options, dnssec: options.dnssec && zone.signed });
  return walk.from(name);
}

class ZoneWalk {
  readonly #zone: ZoneData;
  readonly #type: RecordType;
  readonly #signed: boolean;
  readonly #brief: boolean;
  readonly #answers: ResourceRecord[] = [];
  readonly #proofs: ResourceRecord[] = [];

  constructor(zone: ZoneData, type: RecordType, { dnssec, brief = false }: LookUpOptions) {
    this.#zone = zone;
    this.#type = type;
    this.#signed = dnssec;
    this.#brief = brief;
  }

  from(asked: string): ZoneAnswer {
    let name = asked;
    for (let steps = 0; steps < ALIAS_CHAIN; steps++) {
      const cut = this.#cut(foldName(name));
      if (cut?.delegated) return this.#delegation(cut.name);
      const target = cut ? this.#synthesized(cut.name, name) : this.#alias(name);
      if (target === undefined) return this.#final(name);
      if (target === TOO_LONG) return this.#made('YXDOMAIN', undefined);
      if (!isWithin(target, this.#zone.origin)) return this.#made('NOERROR', target);
      name = target;
    }
    return this.#made('NOERROR', undefined);
  }

  /** The highest name on the way down that hands its subtree to others: NS below the apex, or DNAME. */
  #cut(name: string): { readonly name: string; readonly delegated: boolean } | undefined {
    const { origin } = this.#zone;
    const below = labelsBelow(name, origin);
    for (let i = below.length; i >= 0; i--) {
      const at = joinLabels([...below.slice(i), ...splitLabels(origin)]);
      const node = this.#zone.node(at);
      if (!node) return undefined;
      // A DS question at the cut itself belongs to this side of it (RFC 4035 3.1.4.1).
      const own = at === name && this.#type === 'DS';
      if (at !== origin && node.has('NS') && !own) return { name: at, delegated: true };
      if (at !== name && node.has('DNAME')) return { name: at, delegated: false };
    }
    return undefined;
  }

  #delegation(cut: string): ZoneAnswer {
    const servers = this.#zone.rrset(cut, 'NS');
    const glue = servers.flatMap((server) =>
      server.type === 'NS' ? this.#addresses(server.data.target) : [],
    );
    const signer = this.#zone.rrset(cut, 'DS');
    const proof = this.#signed ? (signer.length > 0 ? this.#withSignatures(signer) : this.#nsec(cut)) : [];
    return {
      rcode: 'NOERROR',
      authoritative: this.#answers.length > 0,
      answers: this.#answers,
      authorities: [...servers, ...proof],
      additionals: glue,
      outside: undefined,
    };
  }

  /** RFC 6672 section 3.2: the DNAME, and the CNAME it stands for. */
  #synthesized(owner: string, name: string): string | undefined {
    const [dname] = this.#zone.rrset(owner, 'DNAME');
    if (dname?.type !== 'DNAME') return undefined;
    const labels = [...labelsBelow(name, owner), ...splitLabels(dname.data.target)];
    const target = parseName(joinLabels(labels));
    this.#answers.push(...this.#withSignatures([dname]));
    if (target === undefined) return TOO_LONG;
    this.#answers.push(record(name, dname.ttl, 'CNAME', { target }));
    return target;
  }

  /** Where the name is an alias to, its CNAME added to the answer; undefined when it is none or was asked for. */
  #alias(name: string): string | undefined {
    if (this.#type === 'CNAME' || this.#type === 'ANY') return undefined;
    const found = this.#node(name);
    const [alias] = found?.node.get('CNAME') ?? [];
    if (!found || alias?.type !== 'CNAME') return undefined;
    this.#answers.push(...this.#owned([alias], found, name));
    return alias.data.target;
  }

  #final(name: string): ZoneAnswer {
    const found = this.#node(name);
    if (!found) return this.#denied('NXDOMAIN', name);
    const { node } = found;
    const types = this.#type === 'ANY' ? [...node.keys()].filter((type) => type !== 'RRSIG') : [this.#type];
    const all = types.map((type) => node.get(type) ?? []).filter((set) => set.length > 0);
    const sets = this.#brief ? all.slice(0, 1) : all;
    if (sets.length === 0) return this.#denied('NOERROR', found.wildcard ?? name);
    for (const set of sets) this.#answers.push(...this.#owned(set, found, name));
    return this.#made('NOERROR', undefined);
  }

  /** The node of a name, or the wildcard that stands for it (RFC 4592). */
  #node(asked: string): Found | undefined {
    const name = foldName(asked);
    const exact = this.#zone.node(name);
    if (exact) return { node: exact, wildcard: undefined };
    const encloser = this.#encloser(name);
    const wildcard = encloser === '.' ? '*.' : `*.${encloser}`;
    const node = this.#zone.node(wildcard);
    return node && { node, wildcard };
  }

  #encloser(name: string): string {
    let at = parentName(name);
    while (!this.#zone.node(at)) at = parentName(at);
    return at;
  }

  /** Records with their signatures, under the name asked for when a wildcard made them. */
  #owned(set: readonly ResourceRecord[], { wildcard }: Found, name: string): ResourceRecord[] {
    const records = this.#withSignatures(set);
    if (wildcard === undefined) return records;
    if (this.#signed) this.#proofs.push(...this.#nsec(foldName(name)));
    return records.map((each) => ({ ...each, name }));
  }

  #withSignatures(set: readonly ResourceRecord[]): ResourceRecord[] {
    const [first] = set;
    if (!this.#signed || !first) return [...set];
    const signatures = this.#zone
      .rrset(first.name, 'RRSIG')
      .filter((each) => each.type === 'RRSIG' && each.data.typeCovered === first.type);
    return [...set, ...signatures];
  }

  #nsec(name: string): ResourceRecord[] {
    return this.#withSignatures(this.#zone.nsecBefore(name));
  }

  #denied(rcode: 'NOERROR' | 'NXDOMAIN', name: string): ZoneAnswer {
    const { soa } = this.#zone;
    // RFC 2308 section 3: how long the denial may be kept.
    const ttl = Math.min(soa.ttl, soa.data.minimum);
    const authorities = this.#withSignatures([soa]).map((each) => ({ ...each, ttl }));
    const proofs = this.#signed ? this.#denialProofs(rcode, foldName(name)) : [];
    return {
      rcode,
      authoritative: true,
      answers: this.#answers,
      authorities: distinct([...authorities, ...this.#proofs, ...proofs]),
      additionals: [],
      outside: undefined,
    };
  }

  /** RFC 4035 section 3.1.3: no such name, and no wildcard that could stand for it. */
  #denialProofs(rcode: 'NOERROR' | 'NXDOMAIN', name: string): ResourceRecord[] {
    if (rcode === 'NOERROR') return this.#nsec(name);
    return [...this.#nsec(name), ...this.#nsec(`*.${this.#encloser(name)}`)];
  }

  #made(rcode: 'NOERROR' | 'YXDOMAIN', outside: string | undefined): ZoneAnswer {
    const apexAsked = this.#answers.some(({ type }) => type === 'NS') && this.#type === 'NS';
    const servers = apexAsked ? [] : this.#withSignatures(this.#zone.rrset(this.#zone.origin, 'NS'));
    return {
      rcode,
      authoritative: true,
      answers: this.#answers,
      authorities: distinct([...servers, ...this.#proofs]),
      additionals: distinct(this.#answers.flatMap((answer) => this.#glue(answer))),
      outside,
    };
  }

  #glue(answer: ResourceRecord): readonly ResourceRecord[] {
    if (answer.type === 'SRV' || answer.type === 'NS') return this.#addresses(answer.data.target);
    return answer.type === 'MX' ? this.#addresses(answer.data.exchange) : [];
  }

  #addresses(name: string): ResourceRecord[] {
    if (!isWithin(name, this.#zone.origin)) return [];
    return (['A', 'AAAA'] as const).flatMap((type) => this.#withSignatures(this.#zone.rrset(name, type)));
  }
}

/** Not a name, so never a target. */
const TOO_LONG = '';

interface Found {
  readonly node: ZoneNode;
  /** The folded name of the wildcard that matched. */
  readonly wildcard: string | undefined;
}

function distinct(records: readonly ResourceRecord[]): ResourceRecord[] {
  return [...new Set(records)];
}
