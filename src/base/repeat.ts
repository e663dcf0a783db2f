import type { Clock } from './clock.ts';

/**
 * Does the work every so often until disposed: waits, works to the end, waits again; 0 ms = never. The work tells of its
 * own failures and must not reject. Disposal does not wait for work under way.
 */
export function repeat(
  clock: Clock,
  intervalMs: number | (() => number),
  work: () => Promise<void>,
): Disposable {
  let timer: Disposable | undefined;
  let ended = false;
  const wait = (): void => {
    const waitMs = typeof intervalMs === 'number' ? intervalMs : intervalMs();
    if (!ended && waitMs > 0) timer = clock.setTimer(waitMs, () => void work().then(wait));
  };
  wait();
  return {
    [Symbol.dispose]() {
      ended = true;
      timer?.[Symbol.dispose]();
    },
  };
}
