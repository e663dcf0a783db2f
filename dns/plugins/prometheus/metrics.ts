import { Counter, type Registry } from '../../../src/base/metrics.ts';
import { familyOf } from '../../../src/net/ip.ts';
import {
  DURATION_BUCKETS_SECONDS,
  LABELLED_TYPES,
  SIZE_BUCKETS_BYTES,
  type ZoneCounts,
} from '../../cluster/table/answer-counts.ts';
import type { SentReply } from '../../plugin.ts';
import { BucketHistogram } from './bucket-histogram.ts';

/** The request metrics of one server under CoreDNS's names. */
export class RequestMetrics implements AsyncDisposable {
  readonly #registry: Registry;
  readonly #requests;
  readonly #dnssec;
  readonly #durations;
  readonly #requestSizes;
  readonly #responseSizes;
  readonly #responses;

  constructor(registry: Registry) {
    this.#registry = registry;
    const registers = [registry];
    this.#requests = new Counter({
      name: 'coredns_dns_requests_total',
      help: 'Counter of DNS requests made per zone, protocol and family.',
      labelNames: ['server', 'zone', 'view', 'proto', 'family', 'type'],
      registers,
    });
    this.#dnssec = new Counter({
      name: 'coredns_dns_do_requests_total',
      help: 'Counter of DNS requests with DO bit set per zone.',
      labelNames: ['server', 'zone', 'view'],
      registers,
    });
    this.#durations = new BucketHistogram(registry, {
      name: 'coredns_dns_request_duration_seconds',
      help: 'Histogram of the time (in seconds) each request took per zone.',
      buckets: DURATION_BUCKETS_SECONDS,
    });
    this.#requestSizes = new BucketHistogram(registry, {
      name: 'coredns_dns_request_size_bytes',
      help: 'Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.',
      buckets: SIZE_BUCKETS_BYTES,
    });
    this.#responseSizes = new BucketHistogram(registry, {
      name: 'coredns_dns_response_size_bytes',
      help: 'Size of the returned response in bytes.',
      buckets: SIZE_BUCKETS_BYTES,
    });
    this.#responses = new Counter({
      name: 'coredns_dns_responses_total',
      help: 'Counter of response status codes.',
      labelNames: ['server', 'zone', 'view', 'rcode', 'plugin'],
      registers,
    });
  }

  observe({ query, outcome, reply, requestBytes, replyBytes, durationMs }: SentReply): void {
    const where = { server: query.listener, zone: query.zone || 'dropped', view: query.view };
    const proto = query.transport === 'udp' ? 'udp' : 'tcp';
    const type = LABELLED_TYPES.includes(query.question.type) ? query.question.type : 'other';
    const family = familyOf(query.client.address) === 'IPv6' ? '2' : '1';
    this.#requests.inc({ ...where, proto, family, type });
    if (query.request.edns?.dnssecOk) this.#dnssec.inc(where);
    this.#durations.observe({ ...where, type }, durationMs / 1000);
    this.#requestSizes.observe({ ...where, proto }, requestBytes.length);
    if (!reply || !replyBytes) return;
    this.#responseSizes.observe({ ...where, proto }, replyBytes.length);
    this.#responses.inc({ ...where, rcode: reply.rcode, plugin: outcome.plugin ?? '' });
  }

  /** Answers of the compiled table, counted where they were given. */
  addFast(
    where: { readonly server: string; readonly zone: string; readonly view: string },
    proto: 'udp' | 'tcp',
    counts: ZoneCounts,
  ): void {
    for (const { family, type, count } of counts.requests) {
      if (count > 0) this.#requests.inc({ ...where, proto, family, type }, count);
    }
    if (counts.dnssecOk > 0) this.#dnssec.inc(where, counts.dnssecOk);
    for (const { type, counts: durations } of counts.durations)
      this.#durations.add({ ...where, type }, durations);
    this.#requestSizes.add({ ...where, proto }, counts.requestSize);
    this.#responseSizes.add({ ...where, proto }, counts.replySize);
    const rcodes = { NOERROR: counts.positive + counts.nodata, NXDOMAIN: counts.nxdomain };
    for (const [rcode, count] of Object.entries(rcodes)) {
      if (count > 0) this.#responses.inc({ ...where, rcode, plugin: 'kubernetes' }, count);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const metric of [
      'coredns_dns_requests_total',
      'coredns_dns_do_requests_total',
      'coredns_dns_request_duration_seconds',
      'coredns_dns_request_size_bytes',
      'coredns_dns_response_size_bytes',
      'coredns_dns_responses_total',
    ]) {
      this.#registry.removeSingleMetric(metric);
    }
  }
}
