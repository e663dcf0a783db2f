import { regexCaptures, type UserRegex } from './user-regex.ts';
import type { Route } from './route.ts';

/** A candidate for one path of a host, before merge. */
export interface PathEntry {
  readonly route: Route;
  /** Set when the path is matched as a regular expression from its start. */
  readonly regex: UserRegex | undefined;
}

export interface PathMatch {
  readonly route: Route;
  /** [whole, $1, ...] of a regular expression. */
  readonly captures: readonly string[] | undefined;
}

/** Told of each candidate looked at, in order: what `explain` prints. */
export interface MatchTrace {
  host(name: string, outcome: string): void;
  path(route: Route, outcome: string): void;
}

interface Node {
  children: Map<string, Node> | undefined;
  /** Prefix written without a slash at its end, and with one. */
  bare: Route | undefined;
  slash: Route | undefined;
}

/** The paths of one host: Exact in a map, Prefix in a trie of elements, patterns in order of length. Immutable once built. */
export class PathTable {
  readonly #exact = new Map<string, PathMatch>();
  readonly #root: Node = { children: undefined, bare: undefined, slash: undefined };
  readonly #patterns: { regex: UserRegex; route: Route }[] = [];
  readonly #matches = new Map<Route, PathMatch>();
  #size = 0;

  /** Entries in order of merge precedence: of equal ones the first stays. */
  constructor(entries: Iterable<PathEntry>) {
    for (const entry of entries) this.#add(entry);
    this.#patterns.sort((a, b) => b.route.path.length - a.route.path.length);
  }

  get size(): number {
    return this.#size;
  }

  *routes(): Generator<Route> {
    for (const { route } of this.entries()) yield route;
  }

  /** What a table with the same answers is made of. */
  *entries(): Generator<PathEntry> {
    for (const { route } of this.#exact.values()) yield { route, regex: undefined };
    yield* this.#patterns;
    for (const route of this.#matches.keys()) yield { route, regex: undefined };
  }

  match(path: string, trace?: MatchTrace): PathMatch | undefined {
    const exact = this.#exact.get(path);
    if (exact) {
      trace?.path(exact.route, 'chosen: Exact path equal');
      return exact;
    }
    if (trace) for (const { route } of this.#exact.values()) trace.path(route, 'Exact path differs');
    const prefix = this.#longestPrefix(path);
    for (const { regex, route } of this.#patterns) {
      if (prefix && prefix.route.path.length > route.path.length) {
        trace?.path(route, 'not tried: a longer Prefix matches');
        if (trace) continue;
        break;
      }
      const captures = regexCaptures(regex, path);
      if (captures) {
        trace?.path(route, 'chosen: longest pattern that matches');
        return { route, captures };
      }
      trace?.path(route, 'pattern does not match');
    }
    if (trace) this.#explainRest(path, prefix?.route, trace);
    return prefix;
  }

  #add(entry: PathEntry): void {
    const { route, regex } = entry;
    if (regex) {
      if (this.#patterns.some((other) => other.route.path === route.path)) return;
      this.#patterns.push({ regex, route });
    } else if (route.pathType === 'Exact') {
      if (this.#exact.has(route.path)) return;
      this.#exact.set(route.path, { route, captures: undefined });
    } else if (!this.#addPrefix(route)) return;
    this.#size++;
  }

  #addPrefix(route: Route): boolean {
    let node = this.#root;
    for (const part of route.path.split('/')) {
      if (part === '') continue;
      node.children ??= new Map();
      let child = node.children.get(part);
      if (!child)
        node.children.set(part, (child = { children: undefined, bare: undefined, slash: undefined }));
      node = child;
    }
    const withSlash = route.path.length > 1 && route.path.endsWith('/');
    if (withSlash ? node.slash : node.bare) return false;
    if (withSlash) node.slash = route;
    else node.bare = route;
    this.#matches.set(route, { route, captures: undefined });
    return true;
  }

  #longestPrefix(path: string): PathMatch | undefined {
    let node = this.#root;
    let best = node.bare ?? node.slash;
    let at = 1;
    while (node.children && at <= path.length) {
      const slash = path.indexOf('/', at);
      const end = slash < 0 ? path.length : slash;
      const child = end > at ? node.children.get(path.slice(at, end)) : undefined;
      if (!child) break;
      node = child;
      best = (slash < 0 ? (child.bare ?? child.slash) : (child.slash ?? child.bare)) ?? best;
      at = end + 1;
    }
    return best && this.#matches.get(best);
  }

  #explainRest(path: string, chosen: Route | undefined, trace: MatchTrace): void {
    const longestFirst = [...this.#matches.keys()].sort((a, b) => b.path.length - a.path.length);
    for (const route of longestFirst) {
      if (route === chosen) trace.path(route, 'chosen: longest Prefix by element');
      else
        trace.path(
          route,
          isElementPrefix(route.path, path)
            ? 'Prefix matches but a longer one wins'
            : 'Prefix does not match',
        );
    }
  }
}

function isElementPrefix(prefix: string, path: string): boolean {
  const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  return path === bare || path.startsWith(`${bare}/`);
}
