import type { RoutedRequest } from '../../relay/context.ts';
import type { RequestRecord } from '../../relay/record.ts';
import type { RequestTrace } from './request-trace.ts';

/** A span as OTLP has it (opentelemetry-proto, trace.v1.Span), with plain values. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: typeof SPAN_KIND_SERVER | typeof SPAN_KIND_CLIENT;
  /** Unix time in nanoseconds, decimal. */
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly (readonly [string, string | number])[];
  readonly isError: boolean;
}

export const SPAN_KIND_SERVER = 2;
export const SPAN_KIND_CLIENT = 3;

/** The server span of a request and a client span for each try (HTTP semantic conventions 1.23). */
export function spansOf(
  trace: RequestTrace,
  record: RequestRecord,
  request: RoutedRequest,
  end: { readonly status: number; readonly nowMs: number; readonly wallMs: number },
): Span[] {
  const nanos = (ms: number): string =>
    String(BigInt(Math.round((end.wallMs - (end.nowMs - ms)) * 1000)) * 1000n);
  const { head, route } = request;
  const { traceId } = trace;
  const server: Span = {
    traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentId ?? '',
    name: route.path === '' ? head.method : `${head.method} ${route.path}`,
    kind: SPAN_KIND_SERVER,
    startTimeUnixNano: nanos(record.startedMs),
    endTimeUnixNano: nanos(end.nowMs),
    attributes: [
      ['http.request.method', head.method],
      ['http.response.status_code', end.status],
      ['http.route', route.path],
      ['url.scheme', request.scheme],
      ['url.path', request.path],
      ['server.address', request.host],
      ['client.address', request.clientAddress],
      ['network.protocol.version', head.version === 20 ? '2' : String(head.version / 10)],
      ['k8s.ingress.name', route.ingress.name],
      ['k8s.namespace.name', route.ingress.namespace],
      ['weft.request_id', record.requestId],
    ],
    isError: end.status >= 500,
  };
  const tries = record.tries.map((one, index): Span => {
    const failed = one.detail !== undefined || one.status >= 500;
    const last = index === record.tries.length - 1;
    return {
      traceId,
      spanId: trace.tryIds[index] ?? '',
      parentSpanId: trace.spanId,
      name: head.method,
      kind: SPAN_KIND_CLIENT,
      startTimeUnixNano: nanos(one.startedMs),
      endTimeUnixNano: nanos(last ? end.nowMs : (record.tries[index + 1]?.startedMs ?? end.nowMs)),
      attributes: [
        ['http.request.method', head.method],
        ['server.address', one.endpoint],
        ['http.request.resend_count', index],
        ...(one.status > 0 ? [['http.response.status_code', one.status] as const] : []),
        ...(one.detail === undefined ? [] : [['error.type', one.detail] as const]),
      ],
      isError: failed,
    };
  });
  return [server, ...tries.filter(({ spanId }) => spanId !== '')];
}
