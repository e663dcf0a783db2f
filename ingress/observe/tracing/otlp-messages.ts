import protobuf from 'protobufjs';
import type { Span } from './spans.ts';

const STATUS_ERROR = 2;
const SCOPE = { name: 'weft' };

/** ExportTraceServiceRequest as JSON (OTLP/HTTP: ids are hexadecimal, numbers of 64 bits are strings). */
export function otlpJson(spans: readonly Span[], serviceName: string): string {
  return JSON.stringify(requestOf(spans, serviceName, (id) => id));
}

/** The same as protobuf, for OTLP/gRPC. */
export function otlpProtobuf(spans: readonly Span[], serviceName: string): Uint8Array {
  const message = requestOf(spans, serviceName, (id) => Buffer.from(id, 'hex'));
  return ExportRequest.encode(ExportRequest.fromObject(message)).finish();
}

function requestOf(
  spans: readonly Span[],
  serviceName: string,
  id: (hex: string) => unknown,
): Record<string, unknown> {
  return {
    resourceSpans: [
      {
        resource: { attributes: [attribute('service.name', serviceName)] },
        scopeSpans: [
          {
            scope: SCOPE,
            spans: spans.map(({ traceId, spanId, parentSpanId, attributes, isError, ...rest }) => ({
              ...rest,
              traceId: id(traceId),
              spanId: id(spanId),
              ...(parentSpanId !== '' && { parentSpanId: id(parentSpanId) }),
              attributes: attributes.map(([key, value]) => attribute(key, value)),
              ...(isError && { status: { code: STATUS_ERROR } }),
            })),
          },
        ],
      },
    ],
  };
}

function attribute(key: string, value: string | number): Record<string, unknown> {
  return { key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } };
}

/** The part of opentelemetry-proto 1.x that is sent; field numbers are the standard's. */
const ExportRequest = protobuf.Root.fromJSON({
  nested: {
    Request: { fields: { resourceSpans: { rule: 'repeated', type: 'ResourceSpans', id: 1 } } },
    ResourceSpans: {
      fields: {
        resource: { type: 'Resource', id: 1 },
        scopeSpans: { rule: 'repeated', type: 'ScopeSpans', id: 2 },
      },
    },
    Resource: { fields: { attributes: { rule: 'repeated', type: 'KeyValue', id: 1 } } },
    ScopeSpans: {
      fields: { scope: { type: 'Scope', id: 1 }, spans: { rule: 'repeated', type: 'Span', id: 2 } },
    },
    Scope: { fields: { name: { type: 'string', id: 1 } } },
    Span: {
      fields: {
        traceId: { type: 'bytes', id: 1 },
        spanId: { type: 'bytes', id: 2 },
        parentSpanId: { type: 'bytes', id: 4 },
        name: { type: 'string', id: 5 },
        kind: { type: 'int32', id: 6 },
        startTimeUnixNano: { type: 'fixed64', id: 7 },
        endTimeUnixNano: { type: 'fixed64', id: 8 },
        attributes: { rule: 'repeated', type: 'KeyValue', id: 9 },
        status: { type: 'Status', id: 15 },
      },
    },
    Status: { fields: { message: { type: 'string', id: 2 }, code: { type: 'int32', id: 3 } } },
    KeyValue: { fields: { key: { type: 'string', id: 1 }, value: { type: 'AnyValue', id: 2 } } },
    AnyValue: { fields: { stringValue: { type: 'string', id: 1 }, intValue: { type: 'int64', id: 3 } } },
  },
}).lookupType('Request');
