import { Fault } from '../../src/base/fault.ts';
import type { ResourceRecord, TypedRecord } from '../wire/message.ts';
import { foldName, isWithin, parentName } from '../wire/name.ts';
import type { RecordType } from '../wire/numbers.ts';
import { compareNames } from './canonical-order.ts';

type Soa = TypedRecord<'SOA'>;

/** The records of one name by type. An empty node has names below it only. */
export type ZoneNode = ReadonlyMap<RecordType, readonly ResourceRecord[]>;

/** One version of a zone, ready to be asked. Never changes. */
export class ZoneData {
  readonly origin: string;
  readonly soa: Soa;
  readonly size: number;
  readonly #nodes: ReadonlyMap<string, ZoneNode>;
  #sorted: readonly string[] | undefined;

  private constructor(origin: string, soa: Soa, nodes: ReadonlyMap<string, ZoneNode>, size: number) {
    this.origin = origin;
    this.soa = soa;
    this.#nodes = nodes;
    this.size = size;
  }

  /** Throws Fault ZONE_INVALID for a zone without exactly one SOA at its apex, or with a CNAME beside other data. */
  static of(origin: string, records: Iterable<ResourceRecord>): ZoneData {
    const builder = new ZoneBuilder(origin);
    for (const record of records) builder.add(record);
    return ZoneData.#finish(origin, builder);
  }

  /** The same, with `turn` awaited every thousand records: a big zone must not hold other answers up. */
  static async inTurns(
    origin: string,
    records: Iterable<ResourceRecord>,
    turn: () => Promise<void>,
  ): Promise<ZoneData> {
    const builder = new ZoneBuilder(origin);
    for (const record of records) if (builder.add(record) % RECORDS_PER_TURN === 0) await turn();
    return ZoneData.#finish(origin, builder);
  }

  static #finish(origin: string, { nodes, size }: ZoneBuilder): ZoneData {
    const apex = foldName(origin);
    const soa = nodes.get(apex)?.get('SOA')?.[0];
    if (soa?.type !== 'SOA') throw new Fault('ZONE_INVALID', `zone ${origin} has no SOA`);
    for (const [name, node] of nodes) checkNode(name, node);
    return new ZoneData(apex, soa, nodes, size);
  }

  get serial(): number {
    return this.soa.data.serial;
  }

  /** True when the zone came with signatures. */
  get signed(): boolean {
    return this.node(this.origin)?.has('RRSIG') ?? false;
  }

  /** By folded name; undefined = there is no such name. */
  node(name: string): ZoneNode | undefined {
    return this.#nodes.get(name);
  }

  rrset(name: string, type: RecordType): readonly ResourceRecord[] {
    return this.#nodes.get(foldName(name))?.get(type) ?? [];
  }

  /** Every record, the SOA first. */
  *records(): Iterable<ResourceRecord> {
    yield this.soa;
    for (const node of this.#nodes.values()) {
      for (const [type, set] of node) if (type !== 'SOA') yield* set;
    }
  }

  /** Names in canonical order (RFC 4034 section 6.1), empty non-terminals included. */
  names(): readonly string[] {
    this.#sorted ??= [...this.#nodes.keys()].sort(compareNames);
    return this.#sorted;
  }

  /** The last name with an NSEC at or before this one: the record that says that the name is not there. */
  nsecBefore(name: string): readonly ResourceRecord[] {
    const names = this.names();
    let low = 0;
    let high = names.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareNames(names[middle]!, name) <= 0) low = middle + 1;
      else high = middle;
    }
    for (let at = low - 1; at >= 0; at--) {
      const found = this.rrset(names[at]!, 'NSEC');
      if (found.length > 0) return found;
    }
    return [];
  }
}

const RECORDS_PER_TURN = 1000;

class ZoneBuilder {
  readonly nodes: Map<string, Map<RecordType, ResourceRecord[]>>;
  readonly #origin: string;
  readonly #apex: string;
  size = 0;

  constructor(origin: string) {
    this.#origin = origin;
    this.#apex = foldName(origin);
    this.nodes = new Map([[this.#apex, new Map()]]);
  }

  /** How many there are now. */
  add(record: ResourceRecord): number {
    if (!isWithin(record.name, this.#apex)) {
      throw new Fault('ZONE_INVALID', `${record.name} is outside of ${this.#origin}`);
    }
    const node = nodeAt(this.nodes, foldName(record.name), this.#apex);
    const set = node.get(record.type) ?? [];
    node.set(record.type, set);
    if (record.type !== 'SOA' || set.length === 0) set.push(record);
    return ++this.size;
  }
}

/** The node of a name, with empty ones for every name between it and the apex. */
function nodeAt(
  nodes: Map<string, Map<RecordType, ResourceRecord[]>>,
  name: string,
  apex: string,
): Map<RecordType, ResourceRecord[]> {
  const found = nodes.get(name);
  if (found) return found;
  const node = new Map<RecordType, ResourceRecord[]>();
  nodes.set(name, node);
  for (let at = parentName(name); at !== apex && !nodes.has(at); at = parentName(at))
    nodes.set(at, new Map());
  return node;
}

const BESIDE_CNAME: readonly string[] = ['CNAME', 'RRSIG', 'NSEC'];

function checkNode(name: string, node: ZoneNode): void {
  const aliases = node.get('CNAME');
  if (!aliases) return;
  const other = [...node.keys()].find((type) => !BESIDE_CNAME.includes(type));
  if (other) throw new Fault('ZONE_INVALID', `${name} has a CNAME beside ${other} (RFC 1034 3.6.2)`);
  if (aliases.length > 1) throw new Fault('ZONE_INVALID', `${name} has more than one CNAME`);
}
