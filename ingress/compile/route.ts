import type { CanaryPolicy, RoutePolicy } from '../policy.ts';

/** An Ingress a route comes from. */
export interface IngressRef {
  readonly namespace: string;
  readonly name: string;
}

/** The port as the Ingress names it. */
export interface BackendRef {
  readonly namespace: string;
  readonly service: string;
  readonly port: { readonly name: string } | { readonly number: number } | undefined;
  /** TCP when absent. */
  readonly protocol?: 'UDP';
}

/** Where requests of a route go. */
export type Target =
  | { readonly kind: 'service'; readonly backend: BackendRef; readonly key: string }
  /** A resource backend of a kind we do not know, or no backend at all: the default backend's 404. */
  | { readonly kind: 'none'; readonly reason: string };

export interface CanaryRoute {
  readonly ingress: IngressRef;
  readonly policy: CanaryPolicy;
  readonly target: Target;
}

export type PathType = 'Exact' | 'Prefix' | 'ImplementationSpecific' | 'Regex';

/** One place requests can end at, with everything that is done to them on the way. Immutable. */
export interface Route {
  /** Host of the rule; empty = any. */
  readonly host: string;
  readonly path: string;
  readonly pathType: PathType;
  readonly ingress: IngressRef;
  readonly target: Target;
  readonly policy: RoutePolicy;
  readonly canary: CanaryRoute | undefined;
  /** The host has a certificate of its own: ssl-redirect acts. */
  readonly hostHasTls: boolean;
  /** Rule paths for ACME HTTP-01 are never redirected and never asked for a login. */
  readonly acmeChallenge: boolean;
  /** Distinguishes routes in counters and keyed state: `namespace/ingress host path type`. */
  readonly id: string;
}

/** The key of a backend: `namespace/service:port`. */
export function backendKey(backend: BackendRef): string {
  const port =
    backend.port === undefined ? '' : 'name' in backend.port ? backend.port.name : backend.port.number;
  const protocol = backend.protocol === undefined ? '' : '/udp';
  return `${backend.namespace}/${backend.service}:${port}${protocol}`;
}
