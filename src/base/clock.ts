/** Time as a collaborator: everything that waits takes a Clock, so tests turn the hands themselves. */
export interface Clock {
  /** Wall time, milliseconds since the epoch. May jump; never use it to measure a duration. */
  nowMs(): number;
  /** Monotonic milliseconds from an arbitrary start. Never goes back. */
  monotonicMs(): number;
  /** Calls back once after delayMs. Disposing before that cancels; afterwards it does nothing. */
  setTimer(delayMs: number, callback: () => void): Disposable;
}

/** Timers are referenced: a pending one keeps the process alive until disposed. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  },
};

/** Resolves after delayMs; rejects with the signal's reason when aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const onAbort = (): void => {
      timer[Symbol.dispose]();
      reject(signal!.reason as Error);
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
