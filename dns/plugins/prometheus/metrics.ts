import { Counter, Histogram, type Registry } from '../../../src/base/metrics.ts';
import { familyOf } from '../../../src/net/ip.ts';
import type { SentReply } from '../../plugin.ts';

/** Types with a label of their own; the rest is "other" (CoreDNS plugin/metrics/vars). */
const LABELLED_TYPES: readonly string[] = [
  'AAAA',
  'A',
  'CNAME',
  'DNSKEY',
  'DS',
  'HTTPS',
  'MX',
  'NSEC3',
  'NSEC',
  'NS',
  'PTR',
  'RRSIG',
  'SOA',
  'SRV',
  'TXT',
  'ANY',
];
const DURATION_BUCKETS_SECONDS = Array.from({ length: 16 }, (_, i) => 0.00025 * 2 ** i);
const SIZE_BUCKETS_BYTES = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3];

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
    this.#durations = new Histogram({
      name: 'coredns_dns_request_duration_seconds',
      help: 'Histogram of the time (in seconds) each request took per zone.',
      labelNames: ['server', 'zone', 'view', 'type'],
      buckets: DURATION_BUCKETS_SECONDS,
      registers,
    });
    this.#requestSizes = new Histogram({
      name: 'coredns_dns_request_size_bytes',
      help: 'Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.',
      labelNames: ['server', 'zone', 'view', 'proto'],
      buckets: SIZE_BUCKETS_BYTES,
      registers,
    });
    this.#responseSizes = new Histogram({
      name: 'coredns_dns_response_size_bytes',
      help: 'Size of the returned response in bytes.',
      labelNames: ['server', 'zone', 'view', 'proto'],
      buckets: SIZE_BUCKETS_BYTES,
      registers,
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

  /** Answers of the compiled table: exact in the counters, absent from the histograms. */
  addFast(
    listener: string,
    zone: string,
    { types, rcodes }: { types: Readonly<Record<string, number>>; rcodes: Readonly<Record<string, number>> },
  ): void {
    const where = { server: listener, zone, view: '' };
    for (const [type, count] of Object.entries(types)) {
      if (count > 0) this.#requests.inc({ ...where, proto: 'udp', family: '1', type }, count);
    }
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
