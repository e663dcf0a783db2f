import type { AbortReason } from '../http/exchange.ts';
import type { RequestTrace } from '../observe/tracing/request-trace.ts';
import type { FailedTry } from './failed-try.ts';

/** One try at an endpoint, for the access log. */
export interface TryRecord {
  readonly endpoint: string;
  readonly startedMs: number;
  endedMs: number;
  status: number;
  detail: string | undefined;
}

/** What happened to one request; filled on the way, read once at the end by log, metrics and tracing. */
export class RequestRecord {
  readonly startedMs: number;
  readonly requestId: string;
  status = 0;
  tries: TryRecord[] = [];
  connectedMs = 0;
  headMs = 0;
  upstreamBytes = 0;
  /** Body bytes of the request so far. */
  requestBytes = 0;
  aborted: AbortReason | undefined;
  /** Rule that answered, when no endpoint did. */
  why: string | undefined;
  canary = '';
  user: string | undefined;
  /** Another engine has made the first try. */
  failedTry: FailedTry | undefined;
  /** Set while tracing is on. */
  trace: RequestTrace | undefined;

  constructor(startedMs: number, requestId: string) {
    this.startedMs = startedMs;
    this.requestId = requestId;
  }

  tryStarted(endpoint: string, nowMs: number): void {
    this.tries.push({ endpoint, startedMs: nowMs, endedMs: 0, status: 0, detail: undefined });
  }

  tryFailed(detail: string): void {
    const last = this.tries.at(-1);
    if (last) last.detail = detail;
  }

  connected(nowMs: number): void {
    this.connectedMs = nowMs;
  }

  headArrived(status: number, nowMs: number): void {
    this.headMs = nowMs;
    const last = this.tries.at(-1);
    if (!last) return;
    last.status = status;
    last.endedMs = nowMs;
  }
}
