import type { ResourceRecord } from '../wire/message.ts';
import { isWithin } from '../wire/name.ts';
import { parseRecordBody, parseTtl } from '../wire/zone-text.ts';
import { zoneName, type ZoneWord } from '../wire/zone-words.ts';
import { generate } from './generate.ts';
import { INCLUDE_DEPTH, ZONE_RECORDS } from './limits.ts';
import { masterEntries, type MasterEntry } from './master-entries.ts';

export interface MasterFault {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

export interface MasterFile {
  readonly records: readonly ResourceRecord[];
  /** Entries that were left out; any of them makes the zone unfit for service. */
  readonly faults: readonly MasterFault[];
  /** Records of other zones: left out, harmless. */
  readonly outside: number;
}

export interface MasterSource {
  readonly name: string;
  readonly text: string;
  /** Reads a file named by `$INCLUDE`; undefined when it cannot. */
  readonly include: (
    path: string,
    from: string,
  ) => { readonly name: string; readonly text: string } | undefined;
}

/** Without `$TTL` and a ttl before it (RFC 2308 section 4 asks for a `$TTL`; CoreDNS takes this). */
const TTL_SECONDS = 3600;

/** Reads a master file (RFC 1035 section 5, RFC 2308 section 4, BIND's `$GENERATE`). Never throws. */
export function readMasterFile(source: MasterSource, origin: string): MasterFile {
  const reader = new MasterReader(source, origin);
  for (const _turn of reader.read(source.name, source.text, origin, 0));
  return reader.result;
}

/** The same, with `turn` awaited every thousand entries: a big zone must not hold other answers up. */
export async function readMasterFileInTurns(
  source: MasterSource,
  origin: string,
  turn: () => Promise<void>,
): Promise<MasterFile> {
  const reader = new MasterReader(source, origin);
  for (const _turn of reader.read(source.name, source.text, origin, 0)) await turn();
  return reader.result;
}

const ENTRIES_PER_TURN = 1000;

class MasterReader {
  readonly #source: MasterSource;
  readonly #zone: string;
  readonly #records: ResourceRecord[] = [];
  readonly #faults: MasterFault[] = [];
  #outside = 0;
  #entries = 0;
  #origin: string;
  #owner: string | undefined;
  #defaultTtl: number | undefined;
  #lastTtl: number | undefined;

  constructor(source: MasterSource, zone: string) {
    this.#source = source;
    this.#zone = zone;
    this.#origin = zone;
  }

  get result(): MasterFile {
    return { records: this.#records, faults: this.#faults, outside: this.#outside };
  }

  /** Yields nothing, now and then: a place to stop at. */
  *read(file: string, text: string, origin: string, depth: number): Generator<undefined, void> {
    this.#origin = origin;
    for (const entry of masterEntries(text)) {
      if (++this.#entries % ENTRIES_PER_TURN === 0) yield undefined;
      const reason = 'reason' in entry ? entry.reason : yield* this.#entry(file, entry, depth);
      if (reason !== undefined) this.#faults.push({ file, line: entry.line, reason });
      if (this.#records.length > ZONE_RECORDS) {
        this.#faults.push({ file, line: entry.line, reason: `more than ${ZONE_RECORDS} records` });
        return;
      }
    }
  }

  *#entry(file: string, entry: MasterEntry, depth: number): Generator<undefined, string | undefined> {
    const [first, ...rest] = entry.words;
    if (!entry.sameOwner && first && !first.quoted && first.text.startsWith('$')) {
      const name = first.text.toUpperCase();
      if (name === '$INCLUDE') return yield* this.#include(file, rest[0]?.text, rest[1]?.text, depth);
      return this.#directive(name, rest);
    }
    if (entry.sameOwner) {
      if (this.#owner === undefined) return 'the first record has no owner';
      return this.#record(this.#owner, entry.words);
    }
    const owner = zoneName(first!.text, this.#origin);
    if (owner === undefined) return `"${first!.text}" is not a name`;
    this.#owner = owner;
    return this.#record(owner, rest);
  }

  #directive(name: string, args: readonly ZoneWord[]): string | undefined {
    const [first] = args;
    switch (name) {
      case '$ORIGIN': {
        const origin = first && zoneName(first.text, this.#origin);
        if (origin === undefined) return '$ORIGIN needs a name';
        this.#origin = origin;
        return undefined;
      }
      case '$TTL':
        this.#defaultTtl = first && parseTtl(first.text);
        return this.#defaultTtl === undefined ? '$TTL needs a number of seconds' : undefined;
      case '$GENERATE': {
        const made = generate(args);
        if (!made.ok) return made.reason;
        for (const words of made.entries) {
          const owner = zoneName(words[0]!.text, this.#origin);
          const reason =
            owner === undefined ? `"${words[0]!.text}" is not a name` : this.#record(owner, words.slice(1));
          if (reason !== undefined) return reason;
        }
        return undefined;
      }
      default:
        return `${name} is not known`;
    }
  }

  *#include(
    file: string,
    path: string | undefined,
    origin: string | undefined,
    depth: number,
  ): Generator<undefined, string | undefined> {
    if (path === undefined) return '$INCLUDE needs a file';
    if (depth >= INCLUDE_DEPTH) return `files include one another deeper than ${INCLUDE_DEPTH}`;
    const included = this.#source.include(path, file);
    if (!included) return `cannot read "${path}"`;
    const inside = origin === undefined ? this.#origin : zoneName(origin, this.#origin);
    if (inside === undefined) return `"${origin}" is not a name`;
    const [outer, owner] = [this.#origin, this.#owner];
    yield* this.read(included.name, included.text, inside, depth + 1);
    // RFC 1035 5.1: whatever the file did to them, origin and owner are as before.
    [this.#origin, this.#owner] = [outer, owner];
    return undefined;
  }

  #record(owner: string, words: readonly ZoneWord[]): string | undefined {
    const implied = this.#defaultTtl ?? this.#lastTtl;
    const defaults = { origin: this.#origin, ttl: implied ?? -1, class: 'IN' } as const;
    const parsed = parseRecordBody(owner, words, defaults);
    if (!parsed.ok) return parsed.reason;
    const { record } = parsed;
    if (record.class !== 'IN') return `class ${record.class} is not served`;
    const ttl = record.ttl >= 0 ? record.ttl : record.type === 'SOA' ? record.data.minimum : TTL_SECONDS;
    this.#lastTtl = ttl;
    if (!isWithin(owner, this.#zone)) this.#outside++;
    else this.#records.push({ ...record, ttl });
    return undefined;
  }
}
