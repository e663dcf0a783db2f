import { RECENT_USE_MS } from './limits.ts';

/** Milliseconds of the thread each user took in the last one to two windows of RECENT_USE_MS in which anybody did. */
export class RecentUse {
  #before = new Map<string, number>();
  #now = new Map<string, number>();
  #windowStartMs: number;

  constructor(nowMs: number) {
    this.#windowStartMs = nowMs;
  }

  of(user: string): number {
    return (this.#before.get(user) ?? 0) + (this.#now.get(user) ?? 0);
  }

  add(user: string, usedMs: number, nowMs: number): void {
    if (nowMs - this.#windowStartMs >= RECENT_USE_MS) {
      this.#before = this.#now;
      this.#now = new Map();
      this.#windowStartMs = nowMs;
    }
    this.#now.set(user, (this.#now.get(user) ?? 0) + usedMs);
  }
}
