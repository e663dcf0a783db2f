import type { CompiledIngress, RulePath } from './compile-ingress.ts';
import { type PathEntry, PathTable } from './path-table.ts';
import type { HostTable } from './route-table.ts';
import type { CanaryRoute, PathType, Route, Target } from './route.ts';
import { compileUserRegex, hasRegexMeaning, type UserRegex } from './user-regex.ts';

/** What merging found out beside the table: refused patterns, rules that lost to an older Ingress. */
export interface HostProblem {
  readonly ingress: string;
  readonly message: string;
}

export interface HostInput {
  readonly host: string;
  /** Ingresses with rules for this host, in order of precedence (oldest first). */
  readonly ingresses: readonly CompiledIngress[];
  /** Ingress-nginx's oddities to the letter. */
  readonly strict: boolean;
  readonly hasTls: boolean;
}

/** Merges all rules for one host (Ingress v1: oldest wins a conflict) and lays them out for matching. */
export function compileHost(input: HostInput, problems: HostProblem[]): HostTable {
  const { host, strict } = input;
  const main = input.ingresses.filter((ingress) => !ingress.policy.canary);
  const canaries = canaryRoutes(host, input.ingresses);
  const allRegex = strict && main.some((ingress) => usesRegex(ingress));
  const entries: PathEntry[] = [];
  const seen = new Map<string, string>();
  let fallback: Route | undefined;
  for (const ingress of main) {
    const regexIngress = usesRegex(ingress);
    for (const contribution of ingress.hosts) {
      if (contribution.host !== host) continue;
      for (const path of contribution.paths) {
        const id = `${path.path} ${path.pathType}`;
        const winner = seen.get(id);
        if (winner !== undefined) {
          if (winner !== ingress.key)
            problems.push({
              ingress: ingress.key,
              message: `${host}${path.path} (${path.pathType}) is already served by ${winner}`,
            });
          continue;
        }
        const regex =
          allRegex || (regexIngress && isPattern(path, ingress))
            ? pattern(path, ingress, problems)
            : undefined;
        if (regex === 'refused') continue;
        seen.set(id, ingress.key);
        entries.push({
          route: routeOf(input, ingress, path, regex ? 'Regex' : path.pathType, canaries),
          regex,
        });
      }
      if (contribution.fallback && !fallback) fallback = fallbackRoute(input, ingress, contribution.fallback);
    }
  }
  return { name: host, paths: new PathTable(entries), fallback, redirectTo: undefined };
}

function usesRegex(ingress: CompiledIngress): boolean {
  return ingress.policy.useRegex || ingress.policy.rewriteTarget !== undefined;
}

/** Outside strict mode a plain path stays plain: by element and with case, also beside patterns and rewrites. */
function isPattern(path: RulePath, ingress: CompiledIngress): boolean {
  if (path.pathType === 'Exact') return false;
  return (
    hasRegexMeaning(path.path) ||
    (ingress.policy.useRegex && path.pathType === 'ImplementationSpecific' && path.path !== '/')
  );
}

function pattern(path: RulePath, ingress: CompiledIngress, problems: HostProblem[]): UserRegex | 'refused' {
  const compiled = compileUserRegex(path.path, { ignoreCase: true, anchored: true });
  if (!('reason' in compiled)) return compiled;
  problems.push({
    ingress: ingress.key,
    message: `path ${JSON.stringify(path.path)} is not a usable pattern: ${compiled.reason}`,
  });
  return 'refused';
}

function routeOf(
  input: HostInput,
  ingress: CompiledIngress,
  path: RulePath,
  pathType: PathType,
  canaries: Canaries,
): Route {
  return {
    host: input.host,
    path: path.path,
    pathType,
    ingress: ingress.ingress,
    target: path.target,
    policy: ingress.policy,
    canary: canaries.get(`${path.path} ${path.pathType}`),
    hostHasTls: input.hasTls,
    acmeChallenge: path.path.startsWith('/.well-known/acme-challenge'),
    id: `${ingress.key} ${input.host}${path.path} ${path.pathType}`,
  };
}

function fallbackRoute(input: HostInput, ingress: CompiledIngress, target: Target): Route {
  return routeOf(input, ingress, { path: '/', pathType: 'Prefix', target }, 'Prefix', new Map());
}

type Canaries = ReadonlyMap<string, CanaryRoute>;

/** The first canary of each path; it needs a main rule for the same path to mean anything. */
function canaryRoutes(host: string, ingresses: readonly CompiledIngress[]): Canaries {
  const found = new Map<string, CanaryRoute>();
  for (const ingress of ingresses) {
    const policy = ingress.policy.canary;
    if (!policy) continue;
    for (const contribution of ingress.hosts) {
      if (contribution.host !== host) continue;
      for (const path of contribution.paths) {
        const id = `${path.path} ${path.pathType}`;
        if (!found.has(id)) found.set(id, { ingress: ingress.ingress, policy, target: path.target });
      }
    }
  }
  return found;
}

/** A route for an Ingress without rules. */
export function catchAllRoute(ingress: CompiledIngress, target: Target): Route {
  return {
    host: '',
    path: '/',
    pathType: 'Prefix',
    ingress: ingress.ingress,
    target,
    policy: ingress.policy,
    canary: undefined,
    hostHasTls: false,
    acmeChallenge: false,
    id: `${ingress.key} *`,
  };
}
