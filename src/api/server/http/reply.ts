import { Buffer } from 'node:buffer';
import { StatusError, internalError } from '../status.ts';
import { hasCode, messageOf } from '../../../base/fault.ts';
import {
  STORE_CLOSED,
  STORE_COMPACTED,
  STORE_FULL,
  STORE_INVALID,
  STORE_OUTCOME_UNKNOWN,
  STORE_UNAVAILABLE,
} from '../../../store/store.ts';
import type { ByteSink } from './byte-sink.ts';

/** Writes until the reply has ended; returns early when the sink is closed. */
export type StreamBody = (sink: ByteSink) => Promise<void>;

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | StreamBody;
  /** Called when the body has left, or will never: its memory may be used again. Nobody has to call it. */
  readonly release?: () => void;
  /** Must be called once, when the server keeps nothing of the reply any more: it has left, or never will. */
  readonly done?: () => void;
  /** Waits for the turn of the reply's user: a long body is written in slices. */
  readonly nextSlice?: () => Promise<void>;
}

const JSON_HEADERS = Object.freeze({ 'content-type': 'application/json' });

export function jsonReply(status: number, value: unknown, headers?: Record<string, string>): Reply {
  return {
    status,
    headers: headers ? { ...JSON_HEADERS, ...headers } : JSON_HEADERS,
    body: Buffer.from(`${JSON.stringify(value)}\n`, 'utf8'),
  };
}

export function textReply(status: number, text: string, contentType = 'text/plain; charset=utf-8'): Reply {
  return { status, headers: { 'content-type': contentType }, body: Buffer.from(text, 'utf8') };
}

export function bytesReply(status: number, body: Uint8Array, contentType = 'application/json'): Reply {
  return { status, headers: { 'content-type': contentType }, body };
}

export function errorReply(error: unknown): Reply {
  const status = statusOf(error);
  const retryAfter = status.details?.retryAfterSeconds;
  return jsonReply(status.code, status.toStatus(), {
    ...(retryAfter !== undefined && status.code !== 409 && { 'retry-after': String(retryAfter) }),
  });
}

/** The Status for anything thrown; what is not foreseen is a 500 without inner details. */
export function statusOf(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (hasCode(error, STORE_FULL)) return new StatusError(507, 'StorageError', messageOf(error));
  if (hasCode(error, STORE_INVALID)) {
    return new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: ${messageOf(error)}`);
  }
  if (hasCode(error, STORE_COMPACTED)) {
    return new StatusError(410, 'Expired', 'The resourceVersion for the provided list is too old.');
  }
  if (hasCode(error, STORE_OUTCOME_UNKNOWN)) {
    return new StatusError(504, 'Timeout', `Timeout: ${messageOf(error)}`, { retryAfterSeconds: 1 });
  }
  if (hasCode(error, STORE_UNAVAILABLE) || hasCode(error, STORE_CLOSED)) {
    return new StatusError(503, 'ServiceUnavailable', messageOf(error), { retryAfterSeconds: 1 });
  }
  return internalError(messageOf(error));
}
