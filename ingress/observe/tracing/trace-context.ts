import { randomFillSync } from 'node:crypto';

/** W3C Trace Context, level 1: `traceparent`. */
export interface TraceParent {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits, not all zero. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined when it cannot be used: the trace starts anew (section 3.2.2). */
export function parseTraceParent(text: string | undefined): TraceParent | undefined {
  const parts = PARENT.exec(text?.trim() ?? '');
  if (!parts) return undefined;
  const [, version, traceId, spanId, flags, more] = parts as unknown as [
    string,
    string,
    string,
    string,
    string,
    string | undefined,
  ];
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceParent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

const pool = Buffer.alloc(4096);
let at = pool.length;

/** Random bytes as hexadecimal digits, drawn in bulk; never all zero. */
function randomHex(bytes: number): string {
  if (at + bytes > pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  const text = pool.toString('hex', at, at + bytes);
  at += bytes;
  return /^0+$/.test(text) ? randomHex(bytes) : text;
}

export const newTraceId = (): string => randomHex(16);
export const newSpanId = (): string => randomHex(8);
