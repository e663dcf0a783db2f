import type { UnknownObject } from '../../../src/api/kinds/meta.ts';

/** The shapes of test/cases/ingress.json that the ingress profiles use. */
export interface CaseGroup {
  readonly id: string;
  readonly profile: string;
  readonly settings?: {
    readonly admission?: boolean;
    readonly trustForwardedHeaders?: boolean;
    readonly proxyProtocol?: boolean;
    readonly maxHeaderBytes?: number;
    readonly trustedCidrs?: readonly string[];
  };
  readonly objects: readonly UnknownObject[];
  readonly cases: readonly Case[];
}

export interface Case {
  readonly id: string;
  readonly level?: 'should' | 'may' | 'quirk';
  readonly request: CaseRequest;
  readonly expect: Expectation;
  readonly alternative?: Expectation;
}

export interface CaseRequest {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: { readonly sni: string | null };
  readonly httpVersion?: string;
  readonly clientIp?: string;
  readonly count?: number;
  readonly atOnce?: boolean;
  readonly raw?: string;
  readonly thenSend?: string;
  readonly body?: { readonly bytes: number; readonly chunked?: boolean };
  readonly upstreamReply?: { readonly status?: number; readonly delayMs?: number };
  readonly upstreamFault?: string;
  readonly upstreamRaw?: string;
  readonly upstreamThen?: string;
  readonly authReply?: { readonly status: number; readonly headers?: Readonly<Record<string, string>> };
  readonly clientAbortsAfterMs?: number;
  readonly proxyProtocol?: string;
  readonly h2Headers?: readonly (readonly [string, string])[];
}

export interface Expectation {
  readonly [key: string]: unknown;
  readonly backend?: string | null;
  readonly backendIn?: readonly (string | null)[];
  readonly status?: number;
  readonly statusIn?: readonly number[];
  readonly statuses?: readonly number[];
  readonly pathSeenByBackend?: string;
  readonly pathsSeenByBackend?: readonly string[];
  readonly hostSeenByBackend?: string;
  readonly headersSeenByBackend?: Readonly<Record<string, string | null>>;
  readonly headersSeenByBackendMatch?: Readonly<Record<string, string>>;
  readonly responseHeaders?: Readonly<Record<string, string | null>>;
  readonly certificateFor?: string;
  readonly location?: string;
  readonly locationIn?: readonly string[];
  readonly weights?: Readonly<Record<string, number>>;
  readonly weightTolerance?: number;
  readonly statusCounts?: Readonly<Record<string, number>>;
  readonly countTolerance?: number;
  readonly endpointsIn?: readonly string[];
  readonly distinctEndpoints?: number;
  readonly setCookie?: {
    readonly name: string;
    readonly attributes?: Readonly<Record<string, string | true>>;
  };
  readonly thenBackend?: string;
  readonly thenPathSeen?: string;
  readonly thenHeadersSeen?: Readonly<Record<string, string>>;
  readonly authRequestSeen?: { readonly bodyBytes?: number };
  readonly upstreamAttempts?: number;
  readonly upstreamProtocol?: string;
  readonly connection?: 'closed';
  readonly backendRequests?: number;
  readonly mustNotReach?: readonly string[];
  readonly interim?: readonly number[];
  readonly bodySeenByBackend?: string;
  readonly body?: string;
  readonly clientSees?: 'aborted';
  readonly upstreamConnectionReused?: boolean;
  readonly upstreamCancelledWithinMs?: number;
  /** What the API server's admission has to store: judged there. */
  readonly storedIngressClassName?: unknown;
  readonly readAsV1?: { readonly ingress: string; readonly path: string; readonly value: unknown };
  readonly ingressStatus?: { readonly ingress: string; readonly hasAddress: boolean };
  readonly streamErrorOrStatus?: number;
}

/** What one client request came to. */
export interface Outcome {
  readonly statuses: readonly number[];
  readonly interim: readonly number[];
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
  readonly closed: boolean;
  readonly aborted: boolean;
  readonly certificate: string | undefined;
}

/** A request as an echo server saw it. */
export interface Seen {
  readonly endpoint: string;
  readonly backend: string;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocol: string;
  body: string;
  bodyBytes: number;
  cancelledMs: number | undefined;
  readonly connection: number;
}
