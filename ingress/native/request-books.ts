import { normalPath } from '../compile/path-normal.ts';
import type { Route } from '../compile/route.ts';
import type { AbortReason } from '../http/exchange.ts';
import { frameRequest } from '../http/framing.ts';
import { scanRequestHead } from '../http/head.ts';
import { jsonLine, upstreamInfoLine } from '../observe/access-log.ts';
import { contextOf } from '../relay/context.ts';
import { RequestRecord } from '../relay/record.ts';
import type { ClientConnection } from './client-connection.ts';
import { factsOf } from './connection-facts.ts';
import type { KeptRequest } from './kept-request.ts';
import type { Method } from './request-scan.ts';
import type { WorkerContext } from './worker-context.ts';

/** What metrics and log are told of the request under way; one object a connection. */
export class RequestBooks {
  requestBytes = 0;
  upstreamBytes = 0;
  startedMs = 0;
  connectedMs = 0;
  tryStartedMs = 0;
  aborted: AbortReason | undefined;
  why: string | undefined;
  /** The id we made, while the log asks for it. */
  requestId = '';
  /** The key of the canary's backend that took it, else empty. */
  canary = '';
  readonly #context: WorkerContext;
  #route: Route | undefined;
  #method: Method | undefined;
  #headMs = 0;
  #status = 0;
  #endpoint = '';
  /** Tries before the present one, for the log. */
  #failed: { readonly endpoint: string; readonly startedMs: number; readonly detail: string }[] = [];
  #detail: string | undefined;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  get method(): Method {
    return this.#method!;
  }

  begin(route: Route, method: Method): void {
    this.#route = route;
    this.#method = method;
    this.startedMs = this.#context.nowMs();
    this.requestBytes = 0;
    this.upstreamBytes = 0;
    this.#headMs = 0;
    this.#status = 0;
    this.#endpoint = '';
    this.#detail = undefined;
    this.aborted = undefined;
    this.why = undefined;
    this.requestId = '';
    this.canary = '';
    if (this.#failed.length > 0) this.#failed = [];
  }

  tryStarted(endpoint: string): void {
    if (this.#detail !== undefined)
      this.#failed.push({ endpoint: this.#endpoint, startedMs: this.tryStartedMs, detail: this.#detail });
    this.#detail = undefined;
    this.#endpoint = endpoint;
    this.tryStartedMs = this.#context.nowMs();
    this.connectedMs = 0;
  }

  tryFailed(detail: string): void {
    this.#detail = detail;
  }

  headArrived(status: number): void {
    this.#status = status;
    this.#headMs = this.#context.nowMs();
  }

  /** Counts, and writes the line of the log. `kept` begins with the request's head. */
  end(status: number, bytes: number, kept: KeptRequest, client: ClientConnection): void {
    const route = this.#route!;
    const nowMs = this.#context.nowMs();
    const tally = this.#context.tallies.find(route, this.method.name, status, this.canary);
    tally.requestSeconds.observe((nowMs - this.startedMs) / 1000);
    tally.requestBytes.observe(this.requestBytes);
    tally.responseBytes.observe(bytes);
    if (this.#headMs > 0) {
      tally.headerSeconds.observe((this.#headMs - this.tryStartedMs) / 1000);
      tally.responseSeconds.observe((nowMs - this.tryStartedMs) / 1000);
      if (this.connectedMs > 0) tally.connectSeconds.observe((this.connectedMs - this.tryStartedMs) / 1000);
    }
    if (this.#context.settings.accessLog !== 'off' && route.policy.accessLog)
      this.#log(status, bytes, nowMs, kept.bytes, client);
  }

  /** The portable engine's own line, of the request read once more. */
  #log(status: number, bytes: number, nowMs: number, kept: Buffer, client: ClientConnection): void {
    const { settings } = this.#context;
    const scanned = scanRequestHead(kept, 0, settings.server.limits);
    const head = scanned && !('status' in scanned) ? frameRequest(scanned) : undefined;
    if (!head || 'status' in head) return;
    const route = this.#route!;
    const request = {
      ...contextOf(head, factsOf(client), settings),
      route,
      path: normalPath(head.target) ?? head.target,
      captures: undefined,
    };
    if (settings.accessLogSkipPaths.includes(request.path)) return;
    const record = this.#record(head.fields.get('x-request-id') ?? this.requestId);
    const line = settings.accessLog === 'json' ? jsonLine : upstreamInfoLine;
    const seconds = (nowMs - this.startedMs) / 1000;
    this.#context.log(line({ record, request, status, bytes, seconds, timeMs: this.#context.clock.nowMs() }));
  }

  #record(requestId: string): RequestRecord {
    const record = new RequestRecord(this.startedMs, requestId);
    const { aborted, why, upstreamBytes, requestBytes, canary } = this;
    Object.assign(record, { aborted, why, upstreamBytes, requestBytes, canary });
    for (const { endpoint, startedMs, detail } of this.#failed) {
      record.tryStarted(endpoint, startedMs);
      record.tryFailed(detail);
    }
    if (this.#endpoint === '') return record;
    record.tryStarted(this.#endpoint, this.tryStartedMs);
    if (this.#headMs > 0) record.headArrived(this.#status, this.#headMs);
    if (this.#detail !== undefined) record.tryFailed(this.#detail);
    return record;
  }
}
