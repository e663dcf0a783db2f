import { SWEEP_INTERVAL_MS } from '../limits.ts';

/** A relay under way. Data marks it touched; the sweep counts how long it was not. */
export interface Session {
  touched: boolean;
  idleSweeps: number;
  /** Closed by the sweep after this many idle sweeps; may change while the session lives. */
  idleSweepsMax: number;
  /** Ends the session at once. Must end with a `delete` of itself from its table. */
  destroy(reason: 'idle' | 'evicted' | 'stopped'): void;
}

/**
 * The sessions of one kind, bounded. Idleness is counted in sweeps, so that no packet reads the clock. A full
 * table either refuses (`hasRoom`) or evicts one that lay idle (`evictOne`, second chance).
 */
export class SessionTable {
  readonly #sessions = new Set<Session>();
  readonly #sizeMax: number;
  #onEmpty: (() => void) | undefined;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get hasRoom(): boolean {
    return this.#sessions.size < this.#sizeMax;
  }

  add(session: Session): void {
    this.#sessions.add(session);
  }

  /** False when it had ended before. */
  delete(session: Session): boolean {
    const wasHere = this.#sessions.delete(session);
    if (wasHere && this.#sessions.size === 0) this.#onEmpty?.();
    return wasHere;
  }

  /** Called every sweep interval: closes what was idle too long. */
  sweep(): void {
    for (const session of this.#sessions) {
      if (session.touched) {
        session.touched = false;
        session.idleSweeps = 0;
      } else if (++session.idleSweeps >= session.idleSweepsMax) session.destroy('idle');
    }
  }

  /** Ends the first session that was not touched since it was last looked at. */
  evictOne(): void {
    for (const session of this.#sessions) {
      if (!session.touched) {
        session.destroy('evicted');
        return;
      }
      session.touched = false;
      this.#sessions.delete(session);
      this.#sessions.add(session);
    }
  }

  /** Resolves when the last session has ended. */
  async empty(): Promise<void> {
    if (this.#sessions.size === 0) return;
    await new Promise<void>((resolve) => (this.#onEmpty = resolve));
  }

  destroyAll(): void {
    for (const session of this.#sessions) session.destroy('stopped');
  }
}

/** Idle sweeps that make up a time. */
export function sweepsOf(seconds: number): number {
  return Math.ceil((seconds * 1000) / SWEEP_INTERVAL_MS);
}
