import type { RetryCondition, RetryPolicy } from '../policy.ts';
import { RETRY_BUDGET_FLOOR_PER_SECOND, RETRY_BUDGET_SHARE } from '../limits.ts';

/** One failed try: may the request go to another endpoint (proxy-next-upstream, RFC 9110 section 9.2.2)? */
export interface RetryQuestion {
  /** An UpstreamFailure, `timeout`, or `http_NNN`. */
  readonly failure: string;
  /** The request was on the wire. */
  readonly sent: boolean;
  /** The method may be repeated, or the user says so. */
  readonly idempotent: boolean;
  /** Tries so far. */
  readonly tries: number;
}

export function retryAllowed(policy: RetryPolicy, question: RetryQuestion): boolean {
  if (policy.triesMax > 0 && question.tries >= policy.triesMax) return false;
  const condition = conditionOf(question.failure);
  if (condition === undefined || !policy.conditions.has(condition)) return false;
  return !question.sent || question.idempotent || question.failure === 'refused';
}

function conditionOf(failure: string): RetryCondition | undefined {
  switch (failure) {
    case 'connect':
    case 'stale':
    case 'reset':
    case 'refused':
      return 'error';
    case 'timeout':
      return 'timeout';
    case 'framing':
      return 'invalid_header';
    default:
      return failure.startsWith('http_') ? (failure as RetryCondition) : undefined;
  }
}

/** Keeps retries a fraction of traffic, so that they cannot multiply an overload: a share of requests plus a floor. */
export class RetryBudget {
  #tokens = RETRY_BUDGET_FLOOR_PER_SECOND;
  #stampMs = 0;

  /** Each request earns its share. */
  earn(): void {
    if (this.#tokens < 100) this.#tokens += RETRY_BUDGET_SHARE;
  }

  spend(nowMs: number): boolean {
    const floor = ((nowMs - this.#stampMs) / 1000) * RETRY_BUDGET_FLOOR_PER_SECOND;
    this.#stampMs = nowMs;
    this.#tokens = Math.min(100, this.#tokens + Math.max(0, floor));
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
