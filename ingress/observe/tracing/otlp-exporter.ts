import { Client, credentials } from '@grpc/grpc-js';
import type { Clock } from '../../../src/base/clock.ts';
import { messageOf } from '../../../src/base/fault.ts';
import type { Logger } from '../../../src/base/log.ts';
import { Counter, type Registry } from '../../../src/base/metrics.ts';
import { joinHostPort } from '../../../src/net/ip.ts';
import { Fields } from '../../http/fields.ts';
import type { TracingSettings } from '../../settings.ts';
import type { SideRequests } from '../../upstream/side-requests.ts';
import { otlpJson, otlpProtobuf } from './otlp-messages.ts';
import type { Span } from './spans.ts';

/** Spans waiting to be sent. Over: new ones are dropped and counted. */
const QUEUE_MAX = 8_192;
const BATCH_MAX = 512;
const BATCH_DELAY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 10_000;
const GRPC_METHOD = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

export interface ExporterDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly requests: SideRequests;
}

/** Sends spans to an OpenTelemetry collector in the background: OTLP over gRPC or HTTP. Never makes a request wait. */
export class OtlpExporter implements AsyncDisposable {
  readonly #deps: ExporterDeps;
  readonly #spans: Counter<'result'>;
  #queue: Span[] = [];
  #settings: TracingSettings | undefined;
  #client: Client | undefined;
  #timer: Disposable | undefined;
  #sending: Promise<void> | undefined;

  constructor(deps: ExporterDeps) {
    this.#deps = deps;
    this.#spans = new Counter({
      name: 'weft_ingress_spans_total',
      help: 'Spans of requests by what became of them: sent, failed, dropped',
      labelNames: ['result'],
      registers: [deps.metrics],
    });
  }

  add(spans: readonly Span[], settings: TracingSettings): void {
    if (this.#settings !== settings) this.#reconfigure(settings);
    if (this.#queue.length + spans.length > QUEUE_MAX) {
      this.#spans.inc({ result: 'dropped' }, spans.length);
      return;
    }
    this.#queue.push(...spans);
    if (this.#queue.length >= BATCH_MAX) this.#flush();
    else this.#timer ??= this.#deps.clock.setTimer(BATCH_DELAY_MS, () => this.#flush());
  }

  /** Sends what waits, once, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#flush();
    await this.#sending;
    this.#timer?.[Symbol.dispose]();
    this.#client?.close();
  }

  #reconfigure(settings: TracingSettings): void {
    this.#settings = settings;
    this.#client?.close();
    this.#client = undefined;
  }

  #flush(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#sending || this.#queue.length === 0 || !this.#settings) return;
    const batch = this.#queue.splice(0, BATCH_MAX);
    this.#sending = this.#send(batch, this.#settings).finally(() => {
      this.#sending = undefined;
      if (this.#queue.length >= BATCH_MAX) this.#flush();
      else if (this.#queue.length > 0)
        this.#timer ??= this.#deps.clock.setTimer(BATCH_DELAY_MS, () => this.#flush());
    });
  }

  async #send(batch: readonly Span[], settings: TracingSettings): Promise<void> {
    try {
      await (settings.protocol === 'grpc' ? this.#byGrpc(batch, settings) : this.#byHttp(batch, settings));
      this.#spans.inc({ result: 'sent' }, batch.length);
    } catch (error) {
      this.#spans.inc({ result: 'failed' }, batch.length);
      this.#deps.log.warn('spans not sent', { collector: settings.host, reason: messageOf(error) });
    }
  }

  async #byHttp(batch: readonly Span[], { host, port, serviceName }: TracingSettings): Promise<void> {
    const { status } = await this.#deps.requests.send({
      method: 'POST',
      url: `http://${joinHostPort(host, port)}/v1/traces`,
      fields: Fields.of(['Content-Type', 'application/json']),
      body: Buffer.from(otlpJson(batch, serviceName)),
      timeoutMs: EXPORT_TIMEOUT_MS,
    });
    if (status < 200 || status > 299)
      throw new Error(status === 0 ? 'no connection' : `collector answered ${status}`);
  }

  #byGrpc(batch: readonly Span[], { host, port, serviceName }: TracingSettings): Promise<void> {
    this.#client ??= new Client(joinHostPort(host, port), credentials.createInsecure());
    const client = this.#client;
    const options = { deadline: this.#deps.clock.nowMs() + EXPORT_TIMEOUT_MS };
    const message = Buffer.from(otlpProtobuf(batch, serviceName));
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(GRPC_METHOD, same, same, message, options, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }
}
