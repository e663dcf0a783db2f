import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import { Counter, Histogram, type Registry } from '../../src/base/metrics.ts';
import type { RoutedRequest } from '../relay/context.ts';
import type { RequestRecord } from '../relay/record.ts';
import { jsonLine, upstreamInfoLine } from './access-log.ts';
import type { RequestObserver } from './observer.ts';

export interface TrafficDeps {
  readonly log: Logger;
  readonly metrics: Registry;
  readonly clock: Clock;
  readonly accessLog: ((line: string) => void) | undefined;
}

const LABELS = ['ingress', 'namespace', 'service', 'status', 'method', 'host', 'path', 'canary'] as const;
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);

/** Plain numbers of one route, status and method: what a request costs here. Given to the registry when it is read. */
interface Tally {
  readonly labels: Record<(typeof LABELS)[number], string>;
  count: number;
  bytes: number;
  seconds: number;
  readonly buckets: number[];
}

/** Counts requests under ingress-nginx's metric names and writes the access log. */
export class TrafficObserver implements RequestObserver {
  readonly #deps: TrafficDeps;
  readonly #tallies = new Map<string, Tally>();
  readonly #requests: Counter<(typeof LABELS)[number]>;
  readonly #bytes: Counter<(typeof LABELS)[number]>;
  readonly #durations: Histogram<(typeof LABELS)[number]>;
  readonly #bad: Counter<'status'>;

  constructor(deps: TrafficDeps) {
    this.#deps = deps;
    const registers = [deps.metrics];
    const collect = (): void => this.#collect();
    this.#requests = new Counter({
      name: 'nginx_ingress_controller_requests',
      help: 'Client requests',
      labelNames: LABELS,
      registers,
      collect,
    });
    this.#bytes = new Counter({
      name: 'weft_ingress_response_bytes_total',
      help: 'Body bytes sent to clients',
      labelNames: LABELS,
      registers,
    });
    this.#durations = new Histogram({
      name: 'nginx_ingress_controller_request_duration_seconds',
      help: 'Time from the first byte of a request to the last byte of its answer',
      labelNames: LABELS,
      buckets: BUCKETS,
      registers,
    });
    this.#bad = new Counter({
      name: 'weft_ingress_bad_requests_total',
      help: 'Requests that could not be understood',
      labelNames: ['status'],
      registers,
    });
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
    const seconds = (nowMs - record.startedMs) / 1000;
    const tally = this.#tallyOf(record, request, status);
    tally.count++;
    tally.bytes += bytes;
    tally.seconds += seconds;
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > BUCKETS[bucket]!) bucket++;
    tally.buckets[bucket] = (tally.buckets[bucket] ?? 0) + 1;
    const { accessLog } = this.#deps;
    const format = request.settings.accessLog;
    if (!accessLog || format === 'off' || !request.route.policy.accessLog) return;
    if (request.settings.accessLogSkipPaths.includes(request.path)) return;
    const timeMs = this.#deps.clock.nowMs();
    const line = format === 'json' ? jsonLine : upstreamInfoLine;
    accessLog(line({ record, request, status, bytes, seconds, timeMs }));
  }

  #tallyOf(record: RequestRecord, request: RoutedRequest, status: number): Tally {
    const { route } = request;
    const key = `${route.id} ${status} ${request.head.method} ${record.canary}`;
    const known = this.#tallies.get(key);
    if (known) return known;
    const made: Tally = {
      labels: {
        ingress: route.ingress.name,
        namespace: route.ingress.namespace,
        service: route.target.kind === 'service' ? route.target.backend.service : '',
        status: String(status),
        method: METHODS.has(request.head.method) ? request.head.method : 'OTHER',
        host: route.host,
        path: route.path,
        canary: record.canary,
      },
      count: 0,
      bytes: 0,
      seconds: 0,
      buckets: [],
    };
    if (METHODS.has(request.head.method)) this.#tallies.set(key, made);
    else this.#tallies.set(`${route.id} ${status} OTHER ${record.canary}`, made);
    return made;
  }

  /** Moves the tallies into the registry. */
  #collect(): void {
    for (const tally of this.#tallies.values()) {
      if (tally.count === 0) continue;
      this.#requests.inc(tally.labels, tally.count);
      this.#bytes.inc(tally.labels, tally.bytes);
      this.#observe(tally);
      tally.count = 0;
      tally.bytes = 0;
      tally.seconds = 0;
      tally.buckets.length = 0;
    }
  }

  /** The histogram takes single values: each bucket's requests are given at its mean share of the total time. */
  #observe(tally: Tally): void {
    for (const [bucket, count] of tally.buckets.entries()) {
      if (!count) continue;
      const upper = BUCKETS[bucket] ?? 10;
      const mean = tally.seconds / tally.count;
      const value =
        bucket === BUCKETS.length
          ? Math.max(mean, 10.001)
          : Math.min(upper, Math.max(mean, bucket === 0 ? 0 : BUCKETS[bucket - 1]! * 1.0001));
      for (let i = 0; i < count; i++) this.#durations.observe(tally.labels, value);
    }
  }
}
