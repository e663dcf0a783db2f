import type { UpstreamFailure } from '../upstream/stream.ts';

/** A try that another engine made before it gave the request to the portable one. Nothing was answered. */
export interface FailedTry {
  /** `ip:port`. */
  readonly endpoint: string;
  readonly failure: UpstreamFailure | 'timeout' | 'connect timeout';
  readonly detail: string;
  /** The request was on the wire. */
  readonly sent: boolean;
}
