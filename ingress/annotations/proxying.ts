import type { ProxyPolicy, RetryCondition, RetryPolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';
import type { AnnotationReader } from './reader.ts';

/** Rows 9 to 12: proxy-body-size, timeouts, next-upstream, buffering. */
export function readProxy(read: AnnotationReader, settings: GlobalSettings): ProxyPolicy {
  const defaults = settings.proxy;
  const policy = {
    bodyBytesMax: read.sizeBytes('proxy-body-size') ?? defaults.bodyBytesMax,
    connectMs: positive(read.durationMs('proxy-connect-timeout')) ?? defaults.connectMs,
    readMs: positive(read.durationMs('proxy-read-timeout')) ?? defaults.readMs,
    sendMs: positive(read.durationMs('proxy-send-timeout')) ?? defaults.sendMs,
    requestBuffering: read.bool('proxy-request-buffering') ?? defaults.requestBuffering,
    responseBuffering: read.bool('proxy-buffering') ?? defaults.responseBuffering,
  };
  read.differs(
    'proxy-request-buffering',
    'bodies are always streamed with back-pressure, never spooled to disk',
  );
  read.differs('proxy-buffering', 'answers are always streamed with back-pressure');
  for (const name of [
    'proxy-buffer-size',
    'proxy-buffers-number',
    'proxy-busy-buffers-size',
    'client-body-buffer-size',
    'proxy-max-temp-file-size',
  ]) {
    read.sizeBytes(name);
    read.differs(name, 'there are no fixed buffers to size: upstream heads may be up to 128 KiB');
  }
  return policy;
}

function positive(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}

const CONDITIONS: readonly RetryCondition[] = [
  'error',
  'timeout',
  'invalid_header',
  'non_idempotent',
  'http_500',
  'http_502',
  'http_503',
  'http_504',
  'http_403',
  'http_404',
  'http_429',
];

export function readRetry(read: AnnotationReader, settings: GlobalSettings): RetryPolicy {
  const words = read.text('proxy-next-upstream')?.split(/\s+/);
  const conditions = words === undefined ? undefined : parseRetryConditions(words);
  if (typeof conditions === 'string') read.refuse('proxy-next-upstream', `${conditions} is unknown`);
  return {
    conditions: typeof conditions === 'object' ? conditions : settings.retry.conditions,
    triesMax: read.integer('proxy-next-upstream-tries') ?? settings.retry.triesMax,
    timeoutMs: read.durationMs('proxy-next-upstream-timeout') ?? settings.retry.timeoutMs,
  };
}

/** The set of conditions; `off` is the empty set. The first unknown word when there is one. */
export function parseRetryConditions(words: readonly string[]): ReadonlySet<RetryCondition> | string {
  const found = new Set<RetryCondition>();
  for (const word of words) {
    if (word === 'off') return new Set();
    if (word === 'updating') continue;
    const known = CONDITIONS.find((condition) => condition === word);
    if (!known) return word;
    found.add(known);
  }
  return found;
}
