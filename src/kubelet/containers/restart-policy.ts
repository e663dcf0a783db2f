import { RESTART_BACKOFF_MAX_MS, RESTART_BACKOFF_MIN_MS, RESTART_BACKOFF_RESET_MS } from '../limits.ts';

export type ContainerRole = 'init' | 'sidecar' | 'app' | 'ephemeral';
export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

/** Whether a container that ended runs again. Init containers are done once they succeed, ephemeral ones in any case. */
export function shouldRestart(role: ContainerRole, policy: RestartPolicy, exitCode: number): boolean {
  if (role === 'sidecar') return true;
  if (policy === 'Never' || role === 'ephemeral') return false;
  if (role === 'app' && policy === 'Always') return true;
  return exitCode !== 0;
}

/** How many restarts lately; 0 = none, or the last run was long enough to forgive. */
export function restartLevel(level: number, ranMs: number): number {
  return ranMs >= RESTART_BACKOFF_RESET_MS ? 0 : level;
}

/** The wait before a restart: none the first time, then 10 s doubling to 5 min. */
export function restartDelayMs(level: number): number {
  if (level === 0) return 0;
  return Math.min(RESTART_BACKOFF_MAX_MS, RESTART_BACKOFF_MIN_MS * 2 ** Math.min(level - 1, 30));
}

/** `10s`, `2m40s`, `5m0s`, as Go prints durations. */
export function formatDelay(delayMs: number): string {
  const seconds = Math.round(delayMs / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
