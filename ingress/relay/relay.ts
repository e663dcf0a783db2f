import type { Duplex } from 'node:stream';
import { REPLAY_BODY_BYTES_MAX } from '../limits.ts';
import type { AbortReason, Exchange, ExchangeHandler } from '../http/exchange.ts';
import type { Fields } from '../http/fields.ts';
import { type InterimHead, NO_BODY, type ResponseHead } from '../http/message.ts';
import { permittedTrailers } from '../http/trailers.ts';
import { Deadline } from '../timer-wheel.ts';
import type { EndpointState } from '../upstream/cluster.ts';
import type {
  OutgoingRequest,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamStream,
} from '../upstream/stream.ts';
import type { Choice, RelayServices } from './services.ts';
import type { RoutedRequest } from './context.ts';
import type { FailedTry } from './failed-try.ts';
import type { BodyCopy } from './mirrors.ts';
import { isIdempotent, requestTrailers, responseFields } from './outgoing.ts';
import type { RequestRecord } from './record.ts';
import { retryAllowed } from './retry.ts';
import { type Reply, reply } from './reply.ts';
import { Tunnel } from './tunnel.ts';

/**
 * One request on its way: from an exchange to an endpoint and back. It forwards bytes both ways with back-pressure,
 * watches the idle times, moves to another endpoint while that is safe, and makes sure that a cut answer never looks
 * complete.
 */
export class Relay implements ExchangeHandler, UpstreamHandler {
  readonly #services: RelayServices;
  readonly #exchange: Exchange;
  readonly #request: RoutedRequest;
  readonly #record: RequestRecord;
  readonly #choice: Choice;
  readonly #deadline: Deadline;
  #outgoing: OutgoingRequest | undefined;
  #copy: BodyCopy | undefined;
  #endpoint: EndpointState | undefined;
  #stream: UpstreamStream | undefined;
  #tried: EndpointState[] = [];
  #triesStartedMs = 0;
  #connected = false;
  #bodyStarted = false;
  #bodyEnded = false;
  #trailers: Fields | undefined;
  /** Body bytes sent so far, while the request might be sent again; undefined = it cannot. */
  #replay: Buffer[] | undefined = [];
  #replayBytes = 0;
  #bodyBytes = 0;
  #responding = false;
  #clientBlocked = false;
  #over = false;

  constructor(
    services: RelayServices,
    exchange: Exchange,
    request: RoutedRequest,
    record: RequestRecord,
    choice: Choice,
  ) {
    this.#services = services;
    this.#exchange = exchange;
    this.#request = request;
    this.#record = record;
    this.#choice = choice;
    this.#deadline = new Deadline(() => this.#timedOut());
    exchange.handler = this;
  }

  /** `copy` hears the body too. */
  start(outgoing: OutgoingRequest, copy?: BodyCopy): void {
    this.#outgoing = outgoing;
    this.#copy = copy;
    this.#bodyEnded = outgoing.bodyLength === NO_BODY;
    this.#triesStartedMs = this.#services.wheel.nowMs;
    const { failedTry } = this.#record;
    // an error page is asked for by a relay of its own
    this.#record.failedTry = undefined;
    if (failedTry) this.#carryOn(failedTry);
    else this.#try(false);
  }

  // The client's side.

  bodyData(bytes: Buffer): void {
    // an error page is asked for without the body that is still coming
    if (this.#bodyEnded) return;
    this.#bodyBytes += bytes.length;
    this.#record.requestBytes = this.#bodyBytes;
    const max = this.#request.route.policy.proxy.bodyBytesMax;
    if (max > 0 && this.#bodyBytes > max) return this.#answer(reply(413, 'proxy-body-size'));
    this.#keepForReplay(bytes);
    this.#copy?.add(bytes);
    if (!this.#stream) return;
    if (!this.#stream.send(bytes)) this.#exchange.pauseBody();
    if (!this.#responding) this.#armSend();
    this.#stream.flush();
  }

  bodyEnd(trailers: Fields | undefined): void {
    if (this.#bodyEnded) return;
    this.#copy?.end();
    this.#bodyEnded = true;
    this.#trailers = trailers && requestTrailers(trailers, this.#request);
    if (!this.#stream) return;
    this.#stream.sendEnd(this.#trailers);
    this.#armRead();
  }

  exchangeAborted(reason: AbortReason): void {
    this.#record.aborted = reason;
    this.#end(reason === 'body timeout' ? 408 : reason === 'bad framing' ? 400 : 499);
  }

  exchangeDrained(): void {
    if (!this.#clientBlocked) return;
    this.#clientBlocked = false;
    this.#armRead();
    this.#stream?.resume();
  }

  // The endpoint's side.

  upstreamConnected(): void {
    this.#connectedAt(this.#services.nowMs());
  }

  #connectedAt(nowMs: number): void {
    this.#connected = true;
    this.#record.connected(nowMs);
    const stream = this.#stream;
    if (!stream) return;
    this.#choice.connected(this.#endpoint!);
    if (this.#bodyStarted) return this.#resendBody(stream);
    this.#bodyStarted = true;
    if (this.#bodyEnded) {
      stream.sendEnd(undefined);
      return this.#armRead();
    }
    stream.flush();
    this.#armRead();
    this.#exchange.resumeBody();
  }

  upstreamInterim(head: InterimHead): void {
    this.#armRead();
    this.#exchange.sendInterim(head.status, responseFields(head, this.#request.settings.hideHeaders));
  }

  upstreamHead(head: ResponseHead): void {
    this.#record.headArrived(head.status, this.#services.nowMs());
    const failure = `http_${head.status}`;
    if (head.status >= 400) {
      if (this.#mayRetry(failure)) {
        this.#dropStream();
        this.#choice.failed(this.#endpoint!, failure);
        return this.#try(false);
      }
      const passes = this.#request.route.policy.errors?.ownOnly === true;
      if (
        !passes &&
        this.#services.replaceError(this.#exchange, this.#request, head.status, this.#record, false)
      )
        return this.#handOverError();
    }
    this.#choice.answered(this.#endpoint!, head.status);
    this.#responding = true;
    this.#replay = undefined;
    const { settings } = this.#request;
    const fields = responseFields(head, settings.hideHeaders);
    this.#services.shapeResponse(this.#request, head.status, fields, this.#choice);
    this.#record.status = head.status;
    this.#exchange.sendHead(head.status, head.reason, fields, head.bodyLength);
    this.#armRead();
  }

  upstreamData(bytes: Buffer): void {
    this.#record.upstreamBytes += bytes.length;
    if (this.#exchange.sendData(bytes)) return;
    this.#clientBlocked = true;
    this.#stream?.pause();
    this.#services.wheel.arm(this.#deadline, this.#request.route.policy.proxy.sendMs);
  }

  upstreamFlush(): void {
    this.#exchange.flush();
    if (!this.#clientBlocked && !this.#over) this.#armRead();
  }

  upstreamEnd(trailers: Fields | undefined): void {
    this.#stream = undefined;
    if (this.#over) return;
    const status = this.#record.status;
    this.#settle();
    this.#exchange.sendEnd(permittedTrailers(trailers));
    this.#services.finished(this.#record, this.#request, status, this.#exchange.sentBytes);
  }

  upstreamFailed(failure: UpstreamFailure, detail: string): void {
    this.#stream = undefined;
    this.#record.tryFailed(detail);
    if (this.#over) return;
    if (failure === 'stale' && !this.#responding && this.#canResend()) {
      return this.#openAt(this.#endpoint!, true);
    }
    this.#choice.failed(this.#endpoint!, failure);
    if (this.#responding) {
      this.#services.log.debug('upstream cut its answer', { endpoint: this.#endpoint?.id, failure, detail });
      this.#exchange.abort();
      return this.#end(this.#record.status);
    }
    if (this.#mayRetry(failure)) return this.#try(false);
    this.#answer(reply(502, `upstream ${failure}: ${detail}`));
  }

  upstreamDrained(): void {
    if (this.#bodyEnded) return;
    this.#armSend();
    this.#exchange.resumeBody();
  }

  upstreamSwitched(fields: Fields, upstream: Duplex): void {
    this.#stream = undefined;
    this.#record.headArrived(101, this.#services.nowMs());
    this.#record.status = 101;
    this.#choice.answered(this.#endpoint!, 101);
    fields.remove('content-length');
    this.#services.shapeResponse(this.#request, 101, fields, this.#choice);
    this.#settle();
    const downstream = this.#exchange.switchProtocols(fields);
    const idleMs = Math.max(this.#request.route.policy.proxy.readMs, this.#request.route.policy.proxy.sendMs);
    const services = this.#services;
    const release = services.tunnelOpened(
      new Tunnel({ wheel: services.wheel }, downstream, upstream, idleMs, (bytes) => {
        release();
        this.#services.finished(this.#record, this.#request, 101, bytes);
      }),
    );
  }

  // Tries.

  #try(afterConnectFailure: boolean): void {
    const endpoint = this.#choice.pick(this.#tried);
    if (!endpoint) {
      if (this.#tried.length > 0 || afterConnectFailure)
        return this.#answer(reply(502, 'no endpoint left to try'));
      if (this.#services.replaceError(this.#exchange, this.#request, 503, this.#record, true))
        return this.#handOverError();
      return this.#answer(reply(503, this.#choice.reason()));
    }
    this.#tried.push(endpoint);
    this.#openAt(endpoint, false);
  }

  /** After a first try that another engine made. */
  #carryOn({ endpoint, failure, detail, sent }: FailedTry): void {
    const tried = this.#choice.named(endpoint);
    if (tried) this.#tried.push(tried);
    this.#connected = sent;
    this.#bodyStarted = sent;
    this.#record.tryStarted(endpoint, this.#services.nowMs());
    this.#record.tryFailed(detail);
    const isTime = failure === 'timeout' || failure === 'connect timeout';
    if (this.#mayRetry(isTime ? 'timeout' : failure)) return this.#try(false);
    const why = isTime ? `upstream ${failure}` : `upstream ${failure}: ${detail}`;
    this.#answer(reply(isTime ? 504 : 502, why));
  }

  #openAt(endpoint: EndpointState, fresh: boolean): void {
    this.#endpoint = endpoint;
    this.#connected = false;
    const nowMs = this.#services.nowMs();
    this.#record.tryStarted(endpoint.id, nowMs);
    this.#record.trace?.tryStarted(this.#outgoing!.fields);
    if (!fresh) this.#choice.started(endpoint);
    this.#services.wheel.arm(this.#deadline, this.#request.route.policy.proxy.connectMs);
    const stream = this.#services.open(endpoint, this.#request, this.#outgoing!, this, fresh);
    this.#stream = stream;
    if (stream.connected) this.#connectedAt(nowMs);
  }

  #resendBody(stream: UpstreamStream): void {
    for (const bytes of this.#replay ?? []) stream.send(bytes);
    if (this.#bodyEnded) {
      stream.sendEnd(this.#trailers);
      return this.#armRead();
    }
    stream.flush();
    this.#armSend();
    this.#exchange.resumeBody();
  }

  #keepForReplay(bytes: Buffer): void {
    if (!this.#replay || !this.#retriesPossible()) return;
    this.#replayBytes += bytes.length;
    if (this.#replayBytes > REPLAY_BODY_BYTES_MAX) this.#replay = undefined;
    else this.#replay.push(Buffer.from(bytes));
  }

  #retriesPossible(): boolean {
    return (
      isIdempotent(this.#request.head) || this.#request.route.policy.retry.conditions.has('non_idempotent')
    );
  }

  /** Sending it again would repeat nothing: no body byte has left, or all that left is kept. */
  #canResend(): boolean {
    return this.#bodyBytes === 0
      ? isIdempotent(this.#request.head) || !this.#bodyStarted
      : this.#replay !== undefined && this.#retriesPossible();
  }

  #mayRetry(failure: string): boolean {
    const { retry } = this.#request.route.policy;
    const sent = this.#connected && this.#bodyStarted;
    if (sent && this.#bodyBytes > 0 && !this.#replay) return false;
    const asked = { failure, sent, idempotent: this.#retriesPossible(), tries: this.#tried.length };
    if (!retryAllowed(retry, asked)) return false;
    if (retry.timeoutMs > 0 && this.#services.wheel.nowMs - this.#triesStartedMs > retry.timeoutMs)
      return false;
    return this.#choice.hasAnother(this.#tried) && this.#services.spendRetry();
  }

  #timedOut(): void {
    const failure = this.#connected ? 'timeout' : 'connect timeout';
    this.#record.tryFailed(failure);
    if (this.#clientBlocked || this.#responding) {
      this.#dropStream();
      this.#exchange.abort();
      return this.#end(this.#record.status);
    }
    this.#dropStream();
    this.#choice.failed(this.#endpoint!, 'timeout');
    if (this.#mayRetry('timeout')) return this.#try(false);
    this.#answer(reply(504, `upstream ${failure}`));
  }

  #armRead(): void {
    if (!this.#clientBlocked)
      this.#services.wheel.arm(this.#deadline, this.#request.route.policy.proxy.readMs);
  }

  #armSend(): void {
    this.#services.wheel.arm(this.#deadline, this.#request.route.policy.proxy.sendMs);
  }

  // Ends.

  #answer(answer: Reply): void {
    if (this.#over) return;
    this.#dropStream();
    if (this.#exchange.headSent) {
      this.#exchange.abort();
      return this.#end(this.#record.status);
    }
    this.#settle();
    this.#services.reply(this.#exchange, this.#request, answer, this.#record);
  }

  #handOverError(): void {
    this.#dropStream();
    this.#settle();
  }

  #dropStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
  }

  #end(status: number): void {
    if (this.#over) return;
    this.#dropStream();
    this.#settle();
    this.#services.finished(this.#record, this.#request, status, this.#exchange.sentBytes);
  }

  #settle(): void {
    this.#over = true;
    if (!this.#bodyEnded) this.#copy?.cut();
    this.#services.wheel.remove(this.#deadline);
    this.#choice.finished(this.#services.nowMs());
  }
}
