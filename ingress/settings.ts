import type { Cidr } from '../src/net/cidr.ts';
import type { BackendRef } from './compile/route.ts';
import type { H1ServerOptions } from './http/h1-server.ts';
import type { ExternalAuthPolicy, ProxyPolicy, RetryPolicy } from './policy.ts';

/** What holds for the whole controller: the options of the command line and the ConfigMap, typed. Immutable. */
export interface GlobalSettings {
  readonly strict: boolean;
  /** X-Forwarded-* of trusted peers are believed (use-forwarded-headers). */
  readonly useForwardedHeaders: boolean;
  /** Peers that may forward (proxy-real-ip-cidr). */
  readonly trustedProxies: readonly Cidr[];
  readonly forwardedForHeader: string;
  /** X-Forwarded-For is appended to instead of replaced (compute-full-forwarded-for). */
  readonly appendForwardedFor: boolean;
  /** Also sends RFC 7239 Forwarded. */
  readonly forwardedHeader: boolean;
  readonly useProxyProtocol: boolean;
  readonly generateRequestId: boolean;
  readonly underscoresInHeaders: boolean;
  readonly sslRedirect: boolean;
  readonly forceSslRedirect: boolean;
  readonly preserveTrailingSlash: boolean;
  readonly noTlsRedirectPaths: readonly string[];
  readonly noAuthPaths: readonly string[];
  /** global-auth-*: asked where an Ingress has no auth-url of its own. `unusable` closes every such path. */
  readonly globalAuth: ExternalAuthPolicy | 'unusable' | undefined;
  readonly httpRedirectCode: number;
  /** Where redirects to https lead; left out of the URL when it is 443. */
  readonly httpsPort: number;
  readonly hsts: { readonly value: string } | undefined;
  readonly limitStatus: number;
  readonly connLimitStatus: number;
  readonly proxy: ProxyPolicy;
  readonly retry: RetryPolicy;
  readonly balance: 'round_robin' | 'ewma' | 'least_request';
  /** The Service that answers what no rule takes, and shows the error pages of Ingresses without default-backend. */
  readonly defaultBackend: BackendRef | undefined;
  readonly customHttpErrors: ReadonlySet<number>;
  /** Error statuses of backends pass; only our own are shown on error pages (disable-proxy-intercept-errors). */
  readonly disableIntercept: boolean;
  readonly useHttp2: boolean;
  readonly http2StreamsMax: number;
  readonly server: H1ServerOptions;
  /** Backends are reached through their cluster IP. */
  readonly serviceUpstream: boolean;
  readonly upstreamIdleMs: number;
  readonly upstreamRequestsMax: number;
  readonly upstreamIdleConnectionsMax: number;
  readonly tls: { readonly minVersion: 'TLSv1.2' | 'TLSv1.3'; readonly ciphers: string | undefined };
  /** OCSP answers are shown with certificates that name a responder. */
  readonly enableOcsp: boolean;
  /** Clients that may ask for an explanation in a response field (weft-explain-allow). */
  readonly explainAllow: readonly Cidr[] | undefined;
  readonly tracing: TracingSettings | undefined;
  readonly accessLog: AccessLogFormat;
  readonly accessLogSkipPaths: readonly string[];
  readonly hideHeaders: readonly string[];
  /** Fields added to every upstream request and every response (proxy-set-headers, add-headers). */
  readonly proxySetHeaders: readonly (readonly [string, string])[];
  readonly addHeaders: readonly (readonly [string, string])[];
  readonly globalAllow: readonly Cidr[] | undefined;
  readonly globalDeny: readonly Cidr[];
  /** block-user-agents and block-referers, as block-list reads them. */
  readonly blockedAgents: readonly string[];
  readonly blockedReferers: readonly string[];
  readonly allowedResponseHeaders: ReadonlySet<string>;
  readonly drainMs: number;
}

/** Where spans go (enable-opentelemetry, otlp-collector-*, otel-*). */
export interface TracingSettings {
  readonly host: string;
  readonly port: number;
  readonly protocol: 'grpc' | 'http';
  readonly serviceName: string;
  /** Share of traces that start here and are recorded. */
  readonly ratio: number;
  /** A client that sends a trace decides whether it is recorded. */
  readonly parentBased: boolean;
}

export type AccessLogFormat = 'off' | 'json' | 'upstreaminfo';
