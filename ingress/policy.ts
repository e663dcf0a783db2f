import type { Cidr } from '../src/net/cidr.ts';
import type { UserRegex } from './compile/user-regex.ts';

/**
 * What the annotations of one Ingress mean, as typed values: the only form in which user text reaches the data
 * plane. Each family of annotations owns one part of it. Absent = the feature is off.
 */
export interface RoutePolicy {
  /** Why nothing may pass: an access annotation that could not be understood (fail closed, 503). */
  readonly closed: string | undefined;
  readonly rewriteTarget: string | undefined;
  readonly useRegex: boolean;
  readonly appRoot: string | undefined;
  readonly redirect: { readonly status: number; readonly location: string } | undefined;
  readonly sslRedirect: boolean;
  readonly forceSslRedirect: boolean;
  readonly preserveTrailingSlash: boolean;
  readonly fromToWww: boolean;
  readonly serverAliases: readonly string[];
  readonly proxy: ProxyPolicy;
  readonly retry: RetryPolicy;
  readonly access: AccessPolicy;
  readonly clientCertificate: ClientCertificatePolicy | undefined;
  readonly cors: CorsPolicy | undefined;
  readonly limits: LimitPolicy | undefined;
  readonly canary: CanaryPolicy | undefined;
  readonly affinity: AffinityPolicy | undefined;
  readonly balance: BalancePolicy;
  readonly upstream: UpstreamPolicy;
  readonly errors: ErrorPolicy | undefined;
  readonly mirror: MirrorPolicy | undefined;
  readonly response: ResponsePolicy;
  readonly sslPassthrough: boolean;
  readonly tls: {
    readonly ciphers: string | undefined;
    readonly minVersion: 'TLSv1.2' | 'TLSv1.3' | undefined;
  };
  readonly accessLog: boolean;
}

export interface ProxyPolicy {
  /** 0 = no limit. */
  readonly bodyBytesMax: number;
  readonly connectMs: number;
  readonly readMs: number;
  readonly sendMs: number;
  readonly requestBuffering: boolean;
  readonly responseBuffering: boolean;
}

/** Conditions of proxy-next-upstream. */
export type RetryCondition =
  | 'error'
  | 'timeout'
  | 'invalid_header'
  | 'non_idempotent'
  | 'http_500'
  | 'http_502'
  | 'http_503'
  | 'http_504'
  | 'http_403'
  | 'http_404'
  | 'http_429';

export interface RetryPolicy {
  readonly conditions: ReadonlySet<RetryCondition>;
  /** Tries in all; 0 = no limit but the number of endpoints. */
  readonly triesMax: number;
  /** 0 = no limit. */
  readonly timeoutMs: number;
}

export interface AccessPolicy {
  readonly allow: readonly Cidr[] | undefined;
  readonly deny: readonly Cidr[];
  readonly basic: BasicAuthPolicy | undefined;
  readonly external: ExternalAuthPolicy | undefined;
  readonly satisfyAny: boolean;
}

export interface BasicAuthPolicy {
  readonly realm: string;
  /** `namespace/name`. */
  readonly secret: string;
  readonly secretType: 'auth-file' | 'auth-map';
}

export interface ExternalAuthPolicy {
  /** May hold $variables. */
  readonly url: string;
  readonly method: string | undefined;
  readonly signin: string | undefined;
  readonly signinRedirectParam: string;
  readonly responseHeaders: readonly string[];
  /** `namespace/name` of the ConfigMap with fields for the auth service. */
  readonly proxySetHeaders: string | undefined;
  readonly cacheKey: string | undefined;
  /** Milliseconds by status; empty = no cache. */
  readonly cacheDurations: ReadonlyMap<number, number>;
  readonly requestRedirect: string | undefined;
  readonly alwaysSetCookie: boolean;
}

export interface ClientCertificatePolicy {
  /** `namespace/name` of the secret with ca.crt. */
  readonly secret: string;
  readonly verify: 'on' | 'off' | 'optional' | 'optional_no_ca';
  /** Certificates that may stand between the client's and the one of the secret. */
  readonly depthMax: number;
  readonly passToUpstream: boolean;
  readonly matchCn: UserRegex | undefined;
  readonly errorPage: string | undefined;
}

export interface CorsPolicy {
  /** `*` alone, or exact origins and origins whose host starts with `*.`. */
  readonly origins: readonly string[];
  readonly methods: string;
  readonly headers: string;
  readonly credentials: boolean;
  readonly exposeHeaders: string | undefined;
  readonly maxAgeSeconds: number;
}

export interface LimitPolicy {
  readonly connections: number;
  readonly perSecond: number;
  readonly perMinute: number;
  readonly burstMultiplier: number;
  readonly exempt: readonly Cidr[];
  readonly status: number;
}

export interface CanaryPolicy {
  readonly header: string | undefined;
  readonly headerValue: string | undefined;
  readonly headerPattern: UserRegex | 'broken' | undefined;
  readonly cookie: string | undefined;
  readonly weight: number;
  readonly weightTotal: number;
}

export interface AffinityPolicy {
  readonly cookie: string;
  readonly path: string | undefined;
  readonly domain: string | undefined;
  readonly maxAgeSeconds: number | undefined;
  readonly expiresSeconds: number | undefined;
  readonly sameSite: 'None' | 'Lax' | 'Strict' | undefined;
  readonly conditionalSameSiteNone: boolean;
  /** undefined = on https only. */
  readonly secure: boolean | undefined;
  readonly changeOnFailure: boolean;
  readonly persistent: boolean;
  /** A canary's own choice follows the cookie too. */
  readonly canarySticky: boolean;
}

export interface BalancePolicy {
  readonly algorithm: 'round_robin' | 'ewma' | 'least_request';
  /** An expression of $variables whose value picks the endpoint. */
  readonly hashBy: string | undefined;
  readonly hashSubset: boolean;
  readonly hashSubsetSize: number;
  readonly health: HealthPolicy;
  readonly check: ActiveCheckPolicy | undefined;
}

/** Passive outlier ejection and what counts as available. */
export interface HealthPolicy {
  /** Failures in a row before an endpoint is left alone. 0 = never. */
  readonly consecutiveFailuresMax: number;
  /** For so long, times the number of ejections so far. */
  readonly ejectionMs: number;
  readonly ejectionMsMax: number;
  /** Below this share of available endpoints all of them are used (panic): better some than a storm on few. */
  readonly panicShare: number;
  /** Requests under way at one endpoint. Over: the endpoint is not picked. */
  readonly endpointRequestsMax: number;
  /** A new endpoint gets a growing share for so long. 0 = its full share at once. */
  readonly slowStartMs: number;
}

/** Endpoints are asked for a path at an interval. */
export interface ActiveCheckPolicy {
  readonly path: string;
  readonly host: string | undefined;
  readonly tls: boolean;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Results in a row that change the verdict. */
  readonly unhealthyCount: number;
  readonly healthyCount: number;
}

export type BackendProtocol = 'HTTP' | 'HTTPS' | 'AUTO_HTTP' | 'GRPC' | 'GRPCS';

export interface UpstreamPolicy {
  readonly protocol: BackendProtocol;
  readonly httpVersion: 10 | 11;
  readonly vhost: string | undefined;
  readonly forwardedPrefix: string | undefined;
  readonly serviceUpstream: boolean;
  readonly tls: UpstreamTlsPolicy | undefined;
  readonly connectionHeader: string | undefined;
}

export interface UpstreamTlsPolicy {
  /** `namespace/name` with tls.crt, tls.key and ca.crt. */
  readonly secret: string | undefined;
  readonly verify: boolean;
  readonly name: string | undefined;
  readonly serverName: boolean;
  readonly ciphers: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3' | undefined;
}

export interface ErrorPolicy {
  /** Only errors of our own are replaced; those of the backend pass. */
  readonly ownOnly: boolean;
  /** Service of this namespace that answers instead; undefined = the controller's default backend. */
  readonly defaultBackend: string | undefined;
  readonly statuses: ReadonlySet<number>;
}

export interface MirrorPolicy {
  /** URL, may hold $variables. */
  readonly target: string;
  readonly requestBody: boolean;
  readonly host: string | undefined;
}

export interface ResponsePolicy {
  /** `namespace/name` of the ConfigMap with response headers. */
  readonly customHeaders: string | undefined;
  readonly redirectRewrite: { readonly from: string; readonly to: string } | 'default' | undefined;
  readonly cookieDomain: readonly (readonly [string, string])[];
  readonly cookiePath: readonly (readonly [string, string])[];
}
