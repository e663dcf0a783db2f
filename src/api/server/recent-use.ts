import { RECENT_USE_MS } from './limits.ts';

interface Window {
  /** Milliseconds of the thread each user took. */
  readonly usedMs: Map<string, number>;
  readonly askers: Set<string>;
}

/** Who asked and who used how much in the last one to two windows of RECENT_USE_MS in which anything was noted. */
export class RecentUse {
  #before: Window = emptyWindow();
  #now: Window = emptyWindow();
  #windowStartMs: number;

  constructor(nowMs: number) {
    this.#windowStartMs = nowMs;
  }

  /** Milliseconds. */
  of(user: string): number {
    return (this.#before.usedMs.get(user) ?? 0) + (this.#now.usedMs.get(user) ?? 0);
  }

  /** Requests came of more than one user. */
  get isShared(): boolean {
    const { askers } = this.#now;
    if (askers.size > 1 || this.#before.askers.size > 1) return true;
    const [asker] = this.#before.askers;
    return asker !== undefined && askers.size === 1 && !askers.has(asker);
  }

  add(user: string, usedMs: number, nowMs: number): void {
    const { usedMs: used } = this.#windowAt(nowMs);
    used.set(user, (used.get(user) ?? 0) + usedMs);
  }

  asked(user: string, nowMs: number): void {
    this.#windowAt(nowMs).askers.add(user);
  }

  #windowAt(nowMs: number): Window {
    if (nowMs - this.#windowStartMs < RECENT_USE_MS) return this.#now;
    this.#before = this.#now;
    this.#now = emptyWindow();
    this.#windowStartMs = nowMs;
    return this.#now;
  }
}

function emptyWindow(): Window {
  return { usedMs: new Map(), askers: new Set() };
}
