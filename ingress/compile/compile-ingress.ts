import type { Ingress, IngressBackend, IngressPath } from '../../src/api/kinds/ingress.ts';
import type { RoutePolicy } from '../policy.ts';
import { backendKey, type BackendRef, type IngressRef, type PathType, type Target } from './route.ts';

/** A path of a rule before its host is known to be regular, TLS or canaried: what one Ingress adds to one host. */
export interface RulePath {
  readonly path: string;
  readonly pathType: Exclude<PathType, 'Regex'>;
  readonly target: Target;
}

export interface HostContribution {
  readonly host: string;
  readonly paths: readonly RulePath[];
  /** The Ingress's own default backend serves what its hosts have no path for. */
  readonly fallback: Target | undefined;
}

/** One Ingress, compiled on its own: merging hosts needs nothing else of it. */
export interface CompiledIngress {
  readonly key: string;
  readonly ingress: IngressRef;
  /** RFC 3339; older wins. */
  readonly created: string;
  readonly policy: RoutePolicy;
  readonly hosts: readonly HostContribution[];
  /** Set when it has no rules: serves everything nobody else takes. */
  readonly catchAll: Target | undefined;
  readonly tls: readonly { readonly hosts: readonly string[]; readonly secret: string | undefined }[];
  readonly problems: readonly string[];
}

export function compileIngress(ingress: Ingress, policy: RoutePolicy): CompiledIngress {
  const { namespace = 'default', name, creationTimestamp = '' } = ingress.metadata;
  const problems: string[] = [];
  const spec = ingress.spec ?? {};
  const fallback = spec.defaultBackend ? targetOf(namespace, spec.defaultBackend, problems) : undefined;
  const rules = spec.rules ?? [];
  const hosts: HostContribution[] = [];
  for (const rule of rules) {
    const host = (rule.host ?? '').toLowerCase();
    if (!isRuleHost(host)) {
      problems.push(`host ${JSON.stringify(host)} is not a DNS name; the rule is not served`);
      continue;
    }
    hosts.push({ host, paths: rulePaths(namespace, rule.http?.paths, problems), fallback });
  }
  return {
    key: `${namespace}/${name}`,
    ingress: { namespace, name },
    created: creationTimestamp,
    policy,
    hosts,
    catchAll: rules.length === 0 ? fallback : undefined,
    tls: (spec.tls ?? []).map((entry) => ({
      hosts: (entry.hosts ?? []).map((host) => host.toLowerCase()),
      secret: entry.secretName ? `${namespace}/${entry.secretName}` : undefined,
    })),
    problems,
  };
}

function rulePaths(
  namespace: string,
  paths: readonly IngressPath[] | undefined,
  problems: string[],
): RulePath[] {
  const out: RulePath[] = [];
  for (const entry of paths ?? []) {
    const path = entry.path === undefined || entry.path === '' ? '/' : entry.path;
    const pathType = entry.pathType ?? 'ImplementationSpecific';
    const fault = pathProblem(path, pathType);
    if (fault) {
      problems.push(`path ${JSON.stringify(path)}: ${fault}; it is not served`);
      continue;
    }
    out.push({ path, pathType, target: targetOf(namespace, entry.backend, problems) });
  }
  return out;
}

/** Path rules of Ingress v1 validation; controls and spaces are refused for every type. */
function pathProblem(path: string, pathType: string): string | undefined {
  if (!path.startsWith('/')) return 'does not start with /';
  if (/[\u0000-\u0020\u007f]/.test(path) && pathType !== 'ImplementationSpecific')
    return 'holds a space or control character';
  if (/[\u0000-\u001f\u007f]/.test(path)) return 'holds a control character';
  if (pathType === 'ImplementationSpecific') return undefined;
  if (/\/\/|\/\.\/|\/\.\.\/|%2f/i.test(path) || /\/\.\.?$/.test(path))
    return 'holds an empty, dot or encoded segment';
  return undefined;
}

const DNS_NAME = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function isRuleHost(host: string): boolean {
  return host === '' || (host.length <= 253 && DNS_NAME.test(host) && !/^[\d.]+$/.test(host));
}

function targetOf(namespace: string, backend: IngressBackend | undefined, problems: string[]): Target {
  if (backend?.service) {
    const { name, port } = backend.service;
    const ref: BackendRef = {
      namespace,
      service: name,
      port:
        port?.name !== undefined && port.name !== ''
          ? { name: port.name }
          : port?.number !== undefined
            ? { number: port.number }
            : undefined,
    };
    return { kind: 'service', backend: ref, key: backendKey(ref) };
  }
  const kind = backend?.resource?.kind;
  if (kind !== undefined) problems.push(`resource backend of kind ${kind} is not served`);
  return {
    kind: 'none',
    reason: kind === undefined ? 'rule without a backend' : `resource backend ${kind} is unknown`,
  };
}
