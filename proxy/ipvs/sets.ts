import type { Family } from '../../src/net/ip.ts';
import type { IpsetChange } from '../../src/net/ipset.ts';
import type { ClaimsDelta } from './claims.ts';
import { FIELD } from './compile.ts';
import { SET_KINDS, SET_TYPES, setName, type SetKind } from './names.ts';

/** Entries of one set at most; the kernel's own default of 65,536 is less than some clusters have. */
const SET_ENTRIES_MAX = 1_048_576;

/** Where a set is filled before it takes its name. */
const SCRATCH = 'WEFT-SCRATCH';

function create(set: string, kind: SetKind, family: Family): IpsetChange {
  return { verb: 'create', set, options: { type: SET_TYPES[kind], family, entriesMax: SET_ENTRIES_MAX } };
}

function fill(set: string, entries: readonly string[] = []): IpsetChange[] {
  return entries.map((entry) => ({ verb: 'add', set, entry }));
}

/** Makes the sets, with these entries. */
export function createSets(family: Family, entries: Iterable<string>): IpsetChange[] {
  const byKind = entriesByKind(entries);
  return SET_KINDS.flatMap((kind) => {
    const name = setName(kind, family);
    return [create(name, kind, family), ...fill(name, byKind.get(kind))];
  });
}

/** Makes the sets hold exactly the entries; each changes over at once. */
export function replaceSets(family: Family, entries: Iterable<string>): IpsetChange[] {
  const byKind = entriesByKind(entries);
  return SET_KINDS.flatMap((kind): IpsetChange[] => {
    const name = setName(kind, family);
    const scratch = `${SCRATCH}-${family === 'IPv6' ? '6-' : ''}${SET_KINDS.indexOf(kind)}`;
    return [
      create(name, kind, family),
      create(scratch, kind, family),
      { verb: 'flush', set: scratch },
      ...fill(scratch, byKind.get(kind)),
      { verb: 'swap', set: scratch, other: name },
      { verb: 'destroy', set: scratch },
    ];
  });
}

function entriesByKind(entries: Iterable<string>): ReadonlyMap<string, readonly string[]> {
  const byKind = new Map<string, string[]>();
  for (const entry of entries) {
    const cut = entry.indexOf(FIELD);
    const kind = entry.slice(0, cut);
    const list = byKind.get(kind);
    if (list) list.push(entry.slice(cut + 1));
    else byKind.set(kind, [entry.slice(cut + 1)]);
  }
  return byKind;
}

export function entryChanges(
  verb: 'add' | 'del',
  family: Family,
  entries: ClaimsDelta<true>['added'],
): IpsetChange[] {
  return Array.from(entries.keys(), (entry) => {
    const cut = entry.indexOf(FIELD);
    return { verb, set: setName(entry.slice(0, cut) as SetKind, family), entry: entry.slice(cut + 1) };
  });
}

/** The names among these that belong to the mode. */
export function ownSets(family: Family, names: readonly string[]): string[] {
  const own = new Set(SET_KINDS.map((kind) => setName(kind, family)));
  const scratch = family === 'IPv6' ? /^WEFT-SCRATCH-6-/ : /^WEFT-SCRATCH-\d/;
  return names.filter((name) => own.has(name) || scratch.test(name));
}
