import { catchAllRoute, compileHost, type HostProblem } from './compile-host.ts';
import type { CompiledIngress } from './compile-ingress.ts';
import { PathTable } from './path-table.ts';
import { type HostTable, RouteTable } from './route-table.ts';
import type { Target } from './route.ts';
import { compileUserRegex, type UserRegex } from './user-regex.ts';

export interface TableBuilderOptions {
  readonly strict: boolean;
  /** True when some secret the Ingress names gives this host a certificate (tls entries without hosts). */
  certificateCovers(secret: string, host: string): boolean;
}

/** All compiled Ingresses, by host. A change costs the hosts it touches plus one copy of the host map. */
export class TableBuilder {
  readonly #options: TableBuilderOptions;
  readonly #ingresses = new Map<string, CompiledIngress>();
  readonly #byHost = new Map<string, Set<string>>();
  readonly #hosts = new Map<string, HostTable>();
  readonly #problems = new Map<string, readonly HostProblem[]>();
  readonly #catchAlls = new Set<string>();
  /** Ingresses with aliases or www redirects. */
  readonly #renaming = new Set<string>();
  readonly #dirty = new Set<string>();
  #version = 0;

  constructor(options: TableBuilderOptions) {
    this.#options = options;
  }

  get ingresses(): ReadonlyMap<string, CompiledIngress> {
    return this.#ingresses;
  }

  put(compiled: CompiledIngress): void {
    this.remove(compiled.key);
    this.#ingresses.set(compiled.key, compiled);
    const { serverAliases, fromToWww } = compiled.policy;
    if (serverAliases.length > 0 || fromToWww) this.#renaming.add(compiled.key);
    if (compiled.catchAll) this.#catchAlls.add(compiled.key);
    for (const { host } of compiled.hosts) {
      let keys = this.#byHost.get(host);
      if (!keys) this.#byHost.set(host, (keys = new Set()));
      keys.add(compiled.key);
      this.#dirty.add(host);
    }
  }

  remove(key: string): void {
    const before = this.#ingresses.get(key);
    if (!before) return;
    this.#ingresses.delete(key);
    this.#catchAlls.delete(key);
    this.#renaming.delete(key);
    for (const { host } of before.hosts) {
      const keys = this.#byHost.get(host);
      keys?.delete(key);
      if (keys?.size === 0) this.#byHost.delete(host);
      this.#dirty.add(host);
    }
  }

  /** Merges the hosts of this Ingress again: a certificate it names came or went. */
  touch(key: string): void {
    for (const { host } of this.#ingresses.get(key)?.hosts ?? []) this.#dirty.add(host);
  }

  /** What merging found wrong, by Ingress. */
  *problems(): Generator<HostProblem> {
    for (const list of this.#problems.values()) yield* list;
  }

  problemsOf(key: string): string[] {
    const messages: string[] = [];
    const compiled = this.#ingresses.get(key);
    for (const host of new Set(compiled?.hosts.map((entry) => entry.host))) {
      for (const problem of this.#problems.get(host) ?? [])
        if (problem.ingress === key) messages.push(problem.message);
    }
    return messages;
  }

  /** Compiles the hosts that changed and gives the whole table anew. */
  build(): RouteTable {
    for (const host of this.#dirty) this.#compileHost(host);
    this.#dirty.clear();
    const { hosts, patterns } = this.#named();
    return new RouteTable(++this.#version, hosts, patterns, this.#catchAll());
  }

  /** The targets of every route, canaries and fallbacks included. */
  *targets(): Generator<{ target: Target; serviceUpstream: boolean }> {
    for (const ingress of this.#ingresses.values()) {
      const { serviceUpstream } = ingress.policy.upstream;
      for (const { paths, fallback } of ingress.hosts) {
        for (const { target } of paths) yield { target, serviceUpstream };
        if (fallback) yield { target: fallback, serviceUpstream };
      }
      if (ingress.catchAll) yield { target: ingress.catchAll, serviceUpstream };
    }
  }

  /** Ingresses with rules for a host, oldest first. */
  ofHost(host: string): CompiledIngress[] {
    const found = [...(this.#byHost.get(host) ?? [])].map((key) => this.#ingresses.get(key)!);
    return found.sort((a, b) => this.#precedence(a, b));
  }

  ruleHosts(): Iterable<string> {
    return this.#byHost.keys();
  }

  #precedence(a: CompiledIngress, b: CompiledIngress): number {
    if (a.created !== b.created) return a.created < b.created ? -1 : 1;
    const byName = a.key < b.key ? -1 : 1;
    return this.#options.strict ? -byName : byName;
  }

  #compileHost(host: string): void {
    const ingresses = this.ofHost(host);
    if (ingresses.length === 0) {
      this.#hosts.delete(host);
      this.#problems.delete(host);
      return;
    }
    const problems: HostProblem[] = [];
    const hasTls = ingresses.some((ingress) => this.#hasTls(ingress, host));
    const table = compileHost({ host, ingresses, strict: this.#options.strict, hasTls }, problems);
    // A host whose only rules are canaries without a main rule does not exist.
    if (table.paths.size === 0 && ingresses.every((ingress) => ingress.policy.canary))
      this.#hosts.delete(host);
    else this.#hosts.set(host, table);
    if (problems.length > 0) this.#problems.set(host, problems);
    else this.#problems.delete(host);
  }

  #hasTls(ingress: CompiledIngress, host: string): boolean {
    if (host === '') return false;
    const wildcard = `*${host.slice(host.indexOf('.'))}`;
    return ingress.tls.some(({ hosts, secret }) =>
      hosts.length > 0
        ? hosts.includes(host) || hosts.includes(wildcard)
        : secret !== undefined && this.#options.certificateCovers(secret, host),
    );
  }

  /** Rule hosts, then aliases, then www redirects: a name somebody has rules for is never taken. */
  #named(): { hosts: Map<string, HostTable>; patterns: { regex: UserRegex; host: HostTable }[] } {
    const hosts = new Map(this.#hosts);
    const patterns: { regex: UserRegex; host: HostTable }[] = [];
    const redirects: [string, string][] = [];
    for (const key of this.#renaming) {
      const ingress = this.#ingresses.get(key);
      if (!ingress) continue;
      const { serverAliases, fromToWww } = ingress.policy;
      for (const { host } of ingress.hosts) {
        const table = this.#hosts.get(host);
        if (!table || host === '') continue;
        for (const alias of serverAliases) addAlias(alias, table, hosts, patterns);
        if (fromToWww && !host.startsWith('*'))
          redirects.push([host.startsWith('www.') ? host.slice(4) : `www.${host}`, host]);
      }
    }
    for (const [from, to] of redirects) {
      if (!hosts.has(from))
        hosts.set(from, { name: from, paths: new PathTable([]), fallback: undefined, redirectTo: to });
    }
    return { hosts, patterns };
  }

  #catchAll(): RouteTable['catchAll'] {
    const all = [...this.#catchAlls]
      .map((key) => this.#ingresses.get(key)!)
      .filter((ingress) => !ingress.policy.canary);
    const first = all.sort((a, b) => this.#precedence(a, b))[0];
    return first?.catchAll && catchAllRoute(first, first.catchAll);
  }
}

function addAlias(
  alias: string,
  table: HostTable,
  hosts: Map<string, HostTable>,
  patterns: { regex: UserRegex; host: HostTable }[],
): void {
  if (!alias.startsWith('~')) {
    if (!hosts.has(alias)) hosts.set(alias, table);
    return;
  }
  const regex = compileUserRegex(alias.slice(1), { ignoreCase: alias.startsWith('~*'), anchored: false });
  if (!('reason' in regex)) patterns.push({ regex, host: table });
}
