import {
  REQUESTS_IN_FLIGHT_MAX,
  REQUESTS_IN_FLIGHT_PER_USER,
  REQUESTS_PER_TURN_MAX,
  REQUESTS_QUEUED_PER_USER,
  TURN_BUDGET_MS,
} from './limits.ts';
import { tooManyRequests } from './status.ts';

interface Lane {
  inFlight: number;
  startedThisTurn: number;
  readonly waiting: (() => void)[];
}

export interface FairQueueDeps {
  readonly nowMs: () => number;
  /** Calls back in the next turn of the event loop. */
  readonly nextTurn: (callback: () => void) => void;
}

/**
 * One lane a user. A user starts only so many requests a turn of the event loop and holds only so many places;
 * the rest waits, and the lanes take turns. So a flood costs its own sender time, not the others. How many it may
 * start follows from how long turns take: cheap requests go many at a time, of long lists one, so that nobody waits
 * for much more than one request of another user.
 */
export class FairQueue {
  readonly #deps: FairQueueDeps;
  readonly #lanes = new Map<string, Lane>();
  readonly #busy = new Set<Lane>();
  #inFlight = 0;
  #turnScheduled = false;
  #turnStartMs = 0;
  #perTurn = REQUESTS_PER_TURN_MAX;

  constructor(deps: FairQueueDeps) {
    this.#deps = deps;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    let count = 0;
    for (const lane of this.#lanes.values()) count += lane.waiting.length;
    return count;
  }

  /** Resolves when the request may run; dispose the result when it has ended. Throws 429 when the lane is full. */
  async enter(user: string): Promise<Disposable> {
    const lane = this.#lane(user);
    if (lane.waiting.length > 0 || !this.#mayStart(lane)) {
      if (lane.waiting.length >= REQUESTS_QUEUED_PER_USER) {
        throw tooManyRequests('too many requests, please try again later.', 1);
      }
      await new Promise<void>((resolve) => {
        lane.waiting.push(resolve);
        this.#busy.add(lane);
        this.#scheduleTurn();
      });
    } else {
      this.#start(lane);
    }
    return { [Symbol.dispose]: () => this.#leave(user, lane) };
  }

  #lane(user: string): Lane {
    let lane = this.#lanes.get(user);
    if (!lane) {
      lane = { inFlight: 0, startedThisTurn: 0, waiting: [] };
      this.#lanes.set(user, lane);
    }
    return lane;
  }

  #mayStart(lane: Lane): boolean {
    return this.#hasPlace(lane) && lane.startedThisTurn < this.#perTurn;
  }

  #hasPlace(lane: Lane): boolean {
    return this.#inFlight < REQUESTS_IN_FLIGHT_MAX && lane.inFlight < REQUESTS_IN_FLIGHT_PER_USER;
  }

  #start(lane: Lane): void {
    this.#inFlight++;
    lane.inFlight++;
    lane.startedThisTurn++;
    this.#scheduleTurn();
  }

  #leave(user: string, lane: Lane): void {
    this.#inFlight--;
    lane.inFlight--;
    if (lane.waiting.length > 0) this.#scheduleTurn();
    else if (lane.inFlight === 0 && lane.startedThisTurn === 0) this.#lanes.delete(user);
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    this.#turnStartMs = this.#deps.nowMs();
    this.#deps.nextTurn(() => this.#turn());
  }

  /** What was started ran until its first wait on something outside: that is the time a turn took. */
  #adapt(): void {
    const tookMs = this.#deps.nowMs() - this.#turnStartMs;
    if (tookMs > TURN_BUDGET_MS) this.#perTurn = Math.max(1, this.#perTurn >> 1);
    else this.#perTurn = Math.min(REQUESTS_PER_TURN_MAX, this.#perTurn + 1);
  }

  #turn(): void {
    this.#adapt();
    this.#turnScheduled = false;
    for (const [user, lane] of this.#lanes) {
      lane.startedThisTurn = 0;
      if (lane.inFlight === 0 && lane.waiting.length === 0) this.#lanes.delete(user);
    }
    // Round robin: one request of each lane after the other, until nobody may start any more.
    for (let started = true; started;) {
      started = false;
      for (const lane of this.#busy) {
        if (!this.#mayStart(lane)) continue;
        const wake = lane.waiting.shift();
        if (lane.waiting.length === 0) this.#busy.delete(lane);
        if (!wake) continue;
        this.#start(lane);
        wake();
        started = true;
      }
    }
    // A lane without a place goes on when it gets one back.
    for (const lane of this.#busy) if (this.#hasPlace(lane)) return this.#scheduleTurn();
  }
}
