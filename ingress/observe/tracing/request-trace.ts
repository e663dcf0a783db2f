import type { Fields } from '../../http/fields.ts';
import type { TracingSettings } from '../../settings.ts';
import { formatTraceParent, newSpanId, newTraceId, parseTraceParent } from './trace-context.ts';

/** The trace one request belongs to: continued from the client, or started here. */
export class RequestTrace {
  readonly traceId: string;
  /** The client's span. */
  readonly parentId: string | undefined;
  /** Our server span. */
  readonly spanId = newSpanId();
  readonly sampled: boolean;
  /** A client span for each try at an endpoint, in order. */
  readonly tryIds: string[] = [];

  /** Continues the client's trace, or starts one and decides whether it is recorded. */
  constructor(fields: Fields, settings: TracingSettings) {
    const parent = parseTraceParent(fields.get('traceparent'));
    this.traceId = parent?.traceId ?? newTraceId();
    this.parentId = parent?.spanId;
    this.sampled = parent && settings.parentBased ? parent.sampled : isSampled(this.traceId, settings.ratio);
  }

  /** Begins a try: the endpoint continues from its span. */
  tryStarted(fields: Fields): void {
    const spanId = newSpanId();
    this.tryIds.push(spanId);
    fields.set('traceparent', formatTraceParent({ traceId: this.traceId, spanId, sampled: this.sampled }));
  }
}

/** TraceIdRatioBased: the same trace is recorded by all or by none (OpenTelemetry SDK, sampler). */
function isSampled(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(-13), 16) / 2 ** 52 < ratio;
}
