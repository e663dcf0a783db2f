import type { HostTable, RouteTable } from '../compile/route-table.ts';
import type { CanaryPolicy } from '../policy.ts';
import { literalPrefix } from '../compile/user-regex.ts';
import { regexExamples } from './regex-examples.ts';

/** A part of all requests and one request that stands for it. */
export interface Representative {
  /** How the class is named for people: `any other host`, `/api and below`. */
  readonly label: string;
  readonly value: string;
}

/** Names nobody uses in rules. */
const FRESH = 'weft-witness';

/**
 * One host for every way two tables tell hosts apart: each exact name, one name under each wildcard, one deeper
 * name, and one that is in no rule.
 */
export function hostRepresentatives(tables: readonly RouteTable[]): Representative[] {
  const names = new Set(tables.flatMap((table) => [...table.hosts.keys()]));
  const found: Representative[] = [{ label: 'any other host', value: `${FRESH}.invalid` }];
  for (const name of names) {
    if (name === '') continue;
    if (!name.startsWith('*.')) found.push({ label: name, value: name });
    else found.push({ label: name, value: freshUnder(name.slice(1), names) });
  }
  return found;
}

function freshUnder(suffix: string, names: ReadonlySet<string>): string {
  let name = FRESH + suffix;
  for (let n = 2; names.has(name); n++) name = `${FRESH}-${n}${suffix}`;
  return name;
}

/**
 * Paths for every way these hosts' rules tell paths apart: at each rule path, with a slash after it, below it, and
 * beside it. Patterns give examples of what they match.
 */
export function pathRepresentatives(hosts: readonly HostTable[]): Representative[] {
  const found = new Map<string, string>([
    ['/', 'exactly /'],
    [`/${FRESH}`, 'any other path'],
  ]);
  const add = (value: string, label: string): void => {
    if (!found.has(value)) found.set(value, label);
  };
  for (const { paths } of hosts) {
    for (const route of paths.routes()) {
      const { path } = route;
      if (route.pathType === 'Regex') {
        for (const example of patternPaths(path)) add(example, `pattern ${path}`);
        continue;
      }
      const bare = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
      add(bare, `exactly ${bare}`);
      if (bare === '/') continue;
      add(`${bare}/`, `${bare}/`);
      add(`${bare}/${FRESH}`, `below ${bare}`);
      add(`${bare}${FRESH}`, `${bare}...`);
    }
  }
  return [...found].map(([value, label]) => ({ label, value }));
}

function patternPaths(source: string): string[] {
  const literal = literalPrefix(source);
  const all = [literal, ...regexExamples(source)].flatMap((text) => [
    text,
    `${text}/${FRESH}`,
    text.toUpperCase(),
  ]);
  return all.filter((text) => /^\/[\u0021-\u007e]*$/.test(text) && !/[#?%]|\/\/|\/\.{1,2}(\/|$)/.test(text));
}

export type HeaderChoice = readonly (readonly [string, string])[];

/** Header fields that canaries of these hosts look at, one at a time and in pairs; none comes first. */
export function headerRepresentatives(hosts: readonly HostTable[]): HeaderChoice[] {
  const single = new Map<string, readonly [string, string]>();
  for (const { paths } of hosts)
    for (const { canary } of paths.routes())
      if (canary) for (const field of canaryFields(canary.policy)) single.set(field.join(': '), field);
  const fields = [...single.values()];
  const pairs = fields.flatMap((a, i) => fields.slice(i + 1).map((b) => [a, b] as const));
  return [[], ...fields.map((field) => [field]), ...pairs.filter(([a, b]) => a[0] !== b[0])];
}

function canaryFields(policy: CanaryPolicy): [string, string][] {
  const found: [string, string][] = [];
  const { header, headerValue, headerPattern, cookie } = policy;
  if (header !== undefined) {
    found.push([header, 'always'], [header, 'never'], [header, FRESH]);
    if (headerValue !== undefined && headerValue !== '') found.push([header, headerValue]);
    if (headerPattern !== undefined && headerPattern !== 'broken')
      for (const example of regexExamples(headerPattern.source).slice(0, 3))
        if (/^[\u0021-\u007e]+$/.test(example)) found.push([header, example]);
  }
  if (cookie !== undefined) found.push(['cookie', `${cookie}=always`], ['cookie', `${cookie}=never`]);
  return found;
}
