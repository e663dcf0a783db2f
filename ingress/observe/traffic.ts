import type { Clock } from '../../src/base/clock.ts';
import { Counter, type Registry } from '../../src/base/metrics.ts';
import type { RoutedRequest } from '../relay/context.ts';
import type { RequestRecord } from '../relay/record.ts';
import { jsonLine, upstreamInfoLine } from './access-log.ts';
import type { RequestObserver } from './observer.ts';
import type { OtlpExporter } from './tracing/otlp-exporter.ts';
import { spansOf } from './tracing/spans.ts';
import { Tallies, type TallyLabels } from './tallies.ts';
import { registerTallies } from './tally-metrics.ts';

export interface TrafficDeps {
  readonly metrics: Registry;
  readonly clock: Clock;
  readonly accessLog: ((line: string) => void) | undefined;
  readonly exporter: Pick<OtlpExporter, 'add'>;
}

/** Counts requests under ingress-nginx's metric names and writes the access log. */
export class TrafficObserver implements RequestObserver {
  readonly #deps: TrafficDeps;
  readonly #tallies = new Tallies();
  readonly #bad: Counter<'status'>;

  constructor(deps: TrafficDeps) {
    this.#deps = deps;
    registerTallies(deps.metrics, this.#tallies);
    this.#bad = new Counter({
      name: 'weft_ingress_bad_requests_total',
      help: 'Requests that could not be understood',
      labelNames: ['status'],
      registers: [deps.metrics],
    });
  }

  /** What another thread counts, in memory it shares. */
  tallied(labels: TallyLabels, memory: Float64Array): void {
    this.#tallies.share(labels, memory);
  }

  badRequest(status: number): void {
    this.#bad.inc({ status: String(status) });
  }

  finished(
    record: RequestRecord,
    request: RoutedRequest,
    status: number,
    bytes: number,
    nowMs: number,
  ): void {
    this.#tallies.count(record, request, status, bytes, nowMs);
    this.#traced(record, request, status, nowMs);
    const { accessLog } = this.#deps;
    const format = request.settings.accessLog;
    if (!accessLog || format === 'off' || !request.route.policy.accessLog) return;
    if (request.settings.accessLogSkipPaths.includes(request.path)) return;
    const seconds = (nowMs - record.startedMs) / 1000;
    const timeMs = this.#deps.clock.nowMs();
    const line = format === 'json' ? jsonLine : upstreamInfoLine;
    accessLog(line({ record, request, status, bytes, seconds, timeMs }));
  }

  #traced(record: RequestRecord, request: RoutedRequest, status: number, nowMs: number): void {
    const { trace } = record;
    const { tracing } = request.settings;
    if (!trace?.sampled || !tracing) return;
    const end = { status, nowMs, wallMs: this.#deps.clock.nowMs() };
    this.#deps.exporter.add(spansOf(trace, record, request, end), tracing);
  }
}
