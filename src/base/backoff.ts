/** Exponential delays with jitter. Limits: never under minMs, never over maxMs. */
export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** 0..1: the share of each delay that is random. 0 makes delays exact, for tests. */
  readonly jitter: number;
  readonly random: () => number;
}

export function backoffDelayMs(attempt: number, options: BackoffOptions): number {
  const full = Math.min(options.maxMs, options.minMs * 2 ** Math.min(attempt, 30));
  return Math.max(options.minMs, full - full * options.jitter * options.random());
}
