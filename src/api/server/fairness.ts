import {
  FAIR_QUANTUM_MS,
  REQUESTS_IN_FLIGHT_MAX,
  REQUESTS_IN_FLIGHT_PER_USER,
  REQUESTS_QUEUED_PER_USER,
  SHARED_TURN_BUDGET_MS,
  SLICES_PER_TURN_MAX,
  TURN_BUDGET_MS,
} from './limits.ts';
import { RecentUse } from './recent-use.ts';
import { tooManyRequests } from './status.ts';

interface Task {
  /** Lets the work go on, up to its next wait on something outside. */
  readonly wake: () => void;
  /** What it will cost later, where nobody measures it. */
  readonly laterMs: number;
}

interface Lane {
  readonly user: string;
  /** Places held. */
  inFlight: number;
  /** Milliseconds of the thread the lane may still use before the next lane's turn; below zero = overdrawn. */
  creditMs: number;
  /** In `#fresh` or `#round`. */
  ready: boolean;
  /** Parts of work that has its place, or needs none. */
  readonly slices: Task[];
  /** Requests that need a place first. */
  readonly requests: Task[];
}

export interface FairQueueDeps {
  readonly nowMs: () => number;
  /** Calls back behind what arrived in this turn of the event loop; promises settle between two such calls. */
  readonly nextTurn: (callback: () => void) => void;
}

/**
 * Shares the one thread among users. Each part of their work (a request up to its first wait, its reply when the
 * write is durable, a piece of a long reply, events for a watcher) asks for a slice, and what it took is charged to
 * its user's lane. Lanes take turns by deficit round robin (Shreedhar and Varghese, 1995): who has used more than a
 * quantum waits until the others had theirs. Lanes that had nothing to do come first, for one quantum (the new flows of
 * RFC 8290, section 4.2), and of them the one that used least of late: a calm user waits for the task that runs and no
 * other. Nothing rests while anybody waits, so a lone user pays nothing; and after TURN_BUDGET_MS, sooner beside others, the
 * event loop goes round, so that nobody waits long to be read.
 */
export class FairQueue {
  readonly #deps: FairQueueDeps;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that had nothing to do when their last turn came, in order of their recent use: they are served first. */
  readonly #fresh: Lane[] = [];
  readonly #round: Lane[] = [];
  readonly #recentUse: RecentUse;
  #inFlight = 0;
  /** Tasks of all lanes. */
  #tasks = 0;
  /** Calls still to come in this turn; the last one only measures the task before it. */
  #armed = 0;
  #turnStartMs: number | undefined;
  #running: { readonly lane: Lane; readonly sinceMs: number } | undefined;

  constructor(deps: FairQueueDeps) {
    this.#deps = deps;
    this.#recentUse = new RecentUse(deps.nowMs());
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    let count = 0;
    for (const lane of this.#lanes.values()) count += lane.requests.length;
    return count;
  }

  /** Resolves when the request may run; dispose the result when it has ended. Throws 429 when the lane is full. */
  async enter(user: string): Promise<Disposable> {
    const lane = this.#lane(user);
    if (lane.requests.length >= REQUESTS_QUEUED_PER_USER) {
      throw tooManyRequests('too many requests, please try again later.', 1);
    }
    this.#recentUse.asked(user, this.#deps.nowMs());
    await this.#added(lane, lane.requests, 0);
    return { [Symbol.dispose]: () => this.#leave(lane) };
  }

  /** Resolves when it is the user's turn to go on with what has begun. */
  slice(user: string, laterMs = 0): Promise<void> {
    const lane = this.#lane(user);
    return this.#added(lane, lane.slices, laterMs);
  }

  #added(lane: Lane, tasks: Task[], laterMs: number): Promise<void> {
    return new Promise((resolve) => {
      tasks.push({ wake: resolve, laterMs });
      this.#tasks++;
      this.#offer(lane);
      this.#arm();
    });
  }

  #lane(user: string): Lane {
    let lane = this.#lanes.get(user);
    if (!lane) {
      lane = { user, inFlight: 0, creditMs: 0, ready: false, slices: [], requests: [] };
      this.#lanes.set(user, lane);
    }
    return lane;
  }

  #leave(lane: Lane): void {
    const wasFull = this.#inFlight >= REQUESTS_IN_FLIGHT_MAX;
    this.#inFlight--;
    lane.inFlight--;
    if (wasFull) for (const other of this.#lanes.values()) this.#offer(other);
    else this.#offer(lane);
    this.#arm();
    this.#forget(lane);
  }

  #mayRun(lane: Lane): boolean {
    if (lane.slices.length > 0) return true;
    const hasPlace = this.#inFlight < REQUESTS_IN_FLIGHT_MAX && lane.inFlight < REQUESTS_IN_FLIGHT_PER_USER;
    return hasPlace && lane.requests.length > 0;
  }

  /** Makes the lane one of the fresh if it has something to do and does not wait for its turn already. */
  #offer(lane: Lane): void {
    if (lane.ready || !this.#mayRun(lane)) return;
    lane.ready = true;
    lane.creditMs = FAIR_QUANTUM_MS;
    const usedMs = this.#recentUse.of(lane.user);
    const more = this.#fresh.findIndex((other) => this.#recentUse.of(other.user) > usedMs);
    this.#fresh.splice(more < 0 ? this.#fresh.length : more, 0, lane);
  }

  /** Asks for as many calls as there is to do; a turn under way does so at its end. */
  #arm(): void {
    if (this.#turnStartMs !== undefined || !this.#nextLane()) return;
    const wanted = Math.min(this.#tasks, SLICES_PER_TURN_MAX) + 1;
    for (; this.#armed < wanted; this.#armed++) this.#deps.nextTurn(this.#step);
  }

  readonly #step = (): void => {
    const nowMs = this.#deps.nowMs();
    this.#armed--;
    this.#charge(nowMs);
    this.#turnStartMs ??= nowMs;
    if (this.#armed > 0) {
      if (nowMs - this.#turnStartMs < this.#budgetMs) this.#runNext(nowMs);
      return;
    }
    this.#turnStartMs = undefined;
    this.#arm();
  };

  get #budgetMs(): number {
    return this.#recentUse.isShared ? SHARED_TURN_BUDGET_MS : TURN_BUDGET_MS;
  }

  #charge(nowMs: number): void {
    if (!this.#running) return;
    const { lane, sinceMs } = this.#running;
    lane.creditMs -= nowMs - sinceMs;
    this.#recentUse.add(lane.user, nowMs - sinceMs, nowMs);
    this.#running = undefined;
  }

  #runNext(nowMs: number): void {
    const lane = this.#nextLane();
    if (!lane) return;
    let task = lane.slices.shift();
    if (!task) {
      task = lane.requests.shift();
      if (!task) return;
      this.#inFlight++;
      lane.inFlight++;
    }
    this.#tasks--;
    lane.creditMs -= task.laterMs;
    this.#recentUse.add(lane.user, task.laterMs, nowMs);
    this.#turnStartMs = (this.#turnStartMs ?? nowMs) - task.laterMs;
    this.#running = { lane, sinceMs: nowMs };
    task.wake();
  }

  /**
   * The first lane that has something to do, and credit. Who is overdrawn goes to the end of the round with one more
   * quantum; who has nothing to do leaves, a fresh one by way of the round: it is fresh again when the others had
   * their turn.
   */
  #nextLane(): Lane | undefined {
    for (;;) {
      const from = this.#fresh.length > 0 ? this.#fresh : this.#round;
      const lane = from[0];
      if (!lane) return undefined;
      const hasCredit = lane.creditMs > 0;
      if (hasCredit && this.#mayRun(lane)) return lane;
      from.shift();
      if (!hasCredit) lane.creditMs += FAIR_QUANTUM_MS;
      if (!hasCredit || from === this.#fresh) {
        this.#round.push(lane);
      } else {
        lane.ready = false;
        this.#forget(lane);
      }
    }
  }

  #forget(lane: Lane): void {
    if (lane.ready || lane.inFlight > 0 || lane.slices.length > 0 || lane.requests.length > 0) return;
    this.#lanes.delete(lane.user);
  }
}
