import { normalPath } from './path-normal.ts';
import type { MatchTrace, PathMatch, PathTable } from './path-table.ts';
import type { Route } from './route.ts';
import { regexMatches, type UserRegex } from './user-regex.ts';

/** One host name (exact, `*.suffix` or any) with its paths and what applies to all of it. Immutable. */
export interface HostTable {
  /** As in the rules; empty = any host. */
  readonly name: string;
  readonly paths: PathTable;
  /** Takes what no path of the host takes. */
  readonly fallback: Route | undefined;
  /** from-to-www-redirect: everything goes to this host instead. */
  readonly redirectTo: string | undefined;
}

/** What a request turned out to be. */
export type RouteMatch =
  | {
      readonly kind: 'route';
      readonly route: Route;
      readonly captures: readonly string[] | undefined;
      readonly path: string;
    }
  | { readonly kind: 'redirect-host'; readonly host: string }
  | { readonly kind: 'bad-path' }
  | { readonly kind: 'none'; readonly host: HostTable | undefined };

/** All hosts at one version. A request looks here once and then keeps its Route. */
export class RouteTable {
  readonly version: number;
  readonly #hosts: ReadonlyMap<string, HostTable>;
  readonly #aliases: readonly { readonly regex: UserRegex; readonly host: HostTable }[];
  /** Takes what nobody else takes: the Ingress without rules. */
  readonly catchAll: Route | undefined;

  constructor(
    version: number,
    hosts: ReadonlyMap<string, HostTable>,
    aliases: readonly { readonly regex: UserRegex; readonly host: HostTable }[],
    catchAll: Route | undefined,
  ) {
    this.version = version;
    this.#hosts = hosts;
    this.#aliases = aliases;
    this.catchAll = catchAll;
  }

  static readonly empty = new RouteTable(0, new Map(), [], undefined);

  get hosts(): ReadonlyMap<string, HostTable> {
    return this.#hosts;
  }

  /** Hosts may be taken by an alias pattern. */
  get hasPatterns(): boolean {
    return this.#aliases.length > 0;
  }

  /** The host that answers for an authority: exact name, then one-label wildcard, then alias patterns, then any. */
  hostFor(authority: string, trace?: MatchTrace): HostTable | undefined {
    const name = hostName(authority);
    const exact = this.#hosts.get(name);
    if (exact && name !== '') {
      trace?.host(name, exact.name === name ? 'chosen: exact host' : `chosen: alias of ${exact.name}`);
      return exact;
    }
    trace?.host(name, 'no rule for this host');
    const dot = name.indexOf('.');
    const wildcard = dot > 0 ? this.#hosts.get(`*${name.slice(dot)}`) : undefined;
    if (dot > 0) trace?.host(`*${name.slice(dot)}`, wildcard ? 'chosen: wildcard host' : 'no such wildcard');
    if (wildcard) return wildcard;
    for (const { regex, host } of this.#aliases) {
      const matches = regexMatches(regex, name);
      trace?.host(`alias pattern of ${host.name}`, matches ? 'chosen: pattern matches' : 'does not match');
      if (matches) return host;
    }
    const any = this.#hosts.get('');
    trace?.host('any host', any ? 'chosen: rules without a host' : 'no rules without a host');
    return any;
  }

  /** Decides by host and path; `target` is the request target as received. */
  match(authority: string, target: string, trace?: MatchTrace): RouteMatch {
    const path = normalPath(target);
    if (path === undefined) return { kind: 'bad-path' };
    const host = this.hostFor(authority, trace);
    if (!host) return this.#orCatchAll(undefined, path, trace);
    if (host.redirectTo !== undefined) return { kind: 'redirect-host', host: host.redirectTo };
    const found: PathMatch | undefined = host.paths.match(path, trace);
    if (found) return { kind: 'route', route: found.route, captures: found.captures, path };
    if (host.fallback) {
      trace?.path(host.fallback, 'chosen: default backend of the Ingress');
      return { kind: 'route', route: host.fallback, captures: undefined, path };
    }
    return host.name === '' ? this.#orCatchAll(host, path, trace) : { kind: 'none', host };
  }

  #orCatchAll(host: HostTable | undefined, path: string, trace: MatchTrace | undefined): RouteMatch {
    if (!this.catchAll) return { kind: 'none', host };
    trace?.path(this.catchAll, 'chosen: Ingress without rules takes the rest');
    return { kind: 'route', route: this.catchAll, captures: undefined, path };
  }
}

/** Lower case, without port and without one trailing dot. */
export function hostName(authority: string): string {
  let end = authority.length;
  if (authority.charCodeAt(0) === 91) end = authority.indexOf(']') + 1;
  else {
    const colon = authority.indexOf(':');
    if (colon >= 0) end = colon;
  }
  if (end > 1 && authority.charCodeAt(end - 1) === 46) end--;
  return authority.slice(0, end).toLowerCase();
}
