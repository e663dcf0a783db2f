import type { Fields } from './fields.ts';

/** How many body bytes follow: a length, `chunked` (or an HTTP/2 stream of unknown length), or until close. */
export const NO_BODY = 0;
export const UNKNOWN_LENGTH = -1;
export const UNTIL_CLOSE = -2;

/** A request as every protocol brings it. */
export interface RequestHead {
  readonly method: string;
  /** Origin-form as received, byte for byte, or `*`. */
  readonly target: string;
  readonly version: 10 | 11 | 20;
  /** Authority as received, port and case included; empty when there was none (HTTP/1.0). */
  readonly authority: string;
  readonly fields: Fields;
  /** Body bytes, or UNKNOWN_LENGTH. */
  readonly bodyLength: number;
  /** The client allows another request on this connection. */
  readonly keepAlive: boolean;
  /** The protocol asked for by Upgrade (lower case) or by extended CONNECT. */
  readonly upgrade: string | undefined;
  readonly expectContinue: boolean;
  /** Lower-case names that Connection lists, other than close, keep-alive and upgrade. */
  readonly connectionNames: readonly string[] | undefined;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly version: 10 | 11 | 20;
  readonly fields: Fields;
  /** Body bytes, UNKNOWN_LENGTH (chunked or HTTP/2) or UNTIL_CLOSE. */
  readonly bodyLength: number;
  readonly keepAlive: boolean;
  readonly connectionNames: readonly string[] | undefined;
}

/** An informational answer (RFC 9110 section 15.2), as received. */
export type InterimHead = Pick<ResponseHead, 'status' | 'fields' | 'connectionNames'>;

/** What is wrong with a head: the status to answer with and a short reason for the log. */
export interface BadHead {
  readonly status: number;
  readonly reason: string;
}
