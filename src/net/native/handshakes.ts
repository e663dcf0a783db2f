/** Handshakes of a thread under way at a time, 50 KB each; beyond, those that stall make room. */
export const HANDSHAKES_MAX = 2000;
/** A handshake that has waited for its client for so long stalls; one that waits for us does not. */
export const HANDSHAKE_STALL_MS = 1000;

/** Steps of handshakes in one turn of a loop, half a millisecond each or more: answers have their turn between. */
const STEPS_A_TURN = 16;

/** A TLS handshake that is under way. */
export interface Handshake {
  /** When it began to wait for its client; Infinity while it waits for us. */
  readonly waitsSinceMs: number;
}

/** Handshakes looked at for one that stalls; insertion order is their age. */
const LOOKS = 64;

/**
 * The handshake that makes room for a further one: many clients may come at a time, and no cheap half of a handshake may
 * hold memory while they do. undefined = there is room, or nobody stalls.
 */
export function stalledOf<T extends Handshake>(handshakes: ReadonlySet<T>, nowMs: number): T | undefined {
  if (handshakes.size < HANDSHAKES_MAX) return undefined;
  let looked = 0;
  for (const handshake of handshakes) {
    if (nowMs - handshake.waitsSinceMs >= HANDSHAKE_STALL_MS) return handshake;
    if (++looked === LOOKS) return undefined;
  }
  return undefined;
}

/** The TLS handshakes under way of one thread, oldest first. */
export class Handshakes<T extends Handshake> {
  readonly #underWay = new Set<T>();
  #steps = 0;

  add(handshake: T): void {
    this.#underWay.add(handshake);
  }

  delete(handshake: T): void {
    this.#underWay.delete(handshake);
  }

  /** The one that makes room for a further one now. */
  stalled(): T | undefined {
    return stalledOf(this.#underWay, performance.now());
  }

  /** False = enough of them in this turn: the step belongs to the next one. */
  takeStep(): boolean {
    return this.#steps++ < STEPS_A_TURN;
  }

  /** At the end of each turn of the loop. */
  turned(): void {
    this.#steps = 0;
  }
}
