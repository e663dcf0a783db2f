import type { HostTable } from '../compile/route-table.ts';
import { type Question, readQuestion } from '../explain/question.ts';
import { fateOf, generalFate, type Side } from './fate.ts';
import {
  type HeaderChoice,
  headerRepresentatives,
  hostRepresentatives,
  pathRepresentatives,
  type Representative,
} from './representatives.ts';

/** A class of requests that somebody else answers after the change, with one request that shows it. */
export interface RouteChange {
  readonly host: string;
  /** Paths of the class, in words. */
  readonly paths: readonly string[];
  /** `Name: value` fields the request has to carry. */
  readonly headers: readonly string[];
  readonly scheme: 'http' | 'https' | 'any';
  readonly from: string;
  readonly to: string;
  readonly witness: { readonly url: string; readonly headers: Readonly<Record<string, string>> };
}

const SCHEMES = ['http', 'https'] as const;

/** Every class of host x path x header fields whose answer differs between the sides. */
export function diffTables(before: Side, after: Side): RouteChange[] {
  const changes: RouteChange[] = [];
  const tables = [before.table, after.table];
  for (const host of hostRepresentatives(tables)) {
    const hosts = tables.map((table) => table.hostFor(host.value)).filter((found) => found !== undefined);
    changes.push(...merged(hostChanges(before, after, host, hosts)));
  }
  return changes;
}

/** Changes of one host, one for each representative request. */
function* hostChanges(
  before: Side,
  after: Side,
  host: Representative,
  hosts: readonly HostTable[],
): Generator<RouteChange> {
  for (const headers of headerRepresentatives(hosts)) {
    for (const path of pathRepresentatives(hosts)) {
      for (const scheme of SCHEMES) {
        const change = compare(before, after, { host, path, headers, scheme });
        if (change) yield change;
      }
    }
  }
}

interface Asked {
  readonly host: Representative;
  readonly path: Representative;
  readonly headers: HeaderChoice;
  readonly scheme: 'http' | 'https';
}

function compare(before: Side, after: Side, { host, path, headers, scheme }: Asked): RouteChange | undefined {
  const url = `${scheme}://${host.value}${path.value}`;
  const question: Question | string = readQuestion({ url, headers: Object.fromEntries(headers) });
  if (typeof question === 'string') return undefined;
  const from = fateOf(before, question);
  const to = fateOf(after, question);
  if (from === to) return undefined;
  return {
    host: host.label,
    paths: [path.label],
    headers: headers.map((field) => field.join(': ')),
    scheme,
    from: generalFate(from, host.value, path.value),
    to: generalFate(to, host.value, path.value),
    witness: { url, headers: Object.fromEntries(headers) },
  };
}

/**
 * Brings together what changes the same way: paths, then schemes; a class with header fields is left out where the
 * same change happens without them.
 */
function merged(changes: Iterable<RouteChange>): RouteChange[] {
  const byWay = new Map<string, RouteChange>();
  for (const change of changes) {
    const key = JSON.stringify([change.headers, change.scheme, change.from, change.to]);
    const known = byWay.get(key);
    const paths = new Set([...(known?.paths ?? []), ...change.paths]);
    byWay.set(key, { ...(known ?? change), paths: [...paths] });
  }
  const bySchemes = new Map<string, RouteChange>();
  for (const change of byWay.values()) {
    const key = JSON.stringify([change.headers, change.paths, change.from, change.to]);
    bySchemes.set(key, bySchemes.has(key) ? { ...bySchemes.get(key)!, scheme: 'any' } : change);
  }
  const all = [...bySchemes.values()];
  return all.filter((change) => change.headers.length === 0 || !all.some((other) => covers(other, change)));
}

function covers(wide: RouteChange, narrow: RouteChange): boolean {
  return (
    wide.headers.length < narrow.headers.length &&
    wide.headers.every((field) => narrow.headers.includes(field)) &&
    wide.from === narrow.from &&
    wide.to === narrow.to &&
    (wide.scheme === 'any' || wide.scheme === narrow.scheme) &&
    narrow.paths.every((path) => wide.paths.includes(path))
  );
}
