import type { Clock } from '../src/base/clock.ts';
import { WHEEL_TICK_MS } from './limits.ts';

/**
 * Deadlines for very many connections. Arming again is one number store: an entry stays in its slot and is moved
 * on when the slot comes up early. So a deadline costs nothing per request and is late by at most one tick.
 */
const SLOTS = 1024;

/**
 * A turn counts at most so much time. When the process itself stood still for longer, its peers were not silent:
 * nobody looked. Without this a stall would end every request that was waiting.
 */
const TURN_MS_MAX = 5 * WHEEL_TICK_MS;

export class Deadline {
  /** Monotonic milliseconds; Infinity = off. */
  dueMs = Number.POSITIVE_INFINITY;
  readonly expire: () => void;
  slot = -1;
  previous: Deadline | undefined;
  next: Deadline | undefined;

  constructor(expire: () => void) {
    this.expire = expire;
  }
}

export class TimerWheel implements Disposable {
  readonly #clock: Clock;
  readonly #slots: (Deadline | undefined)[] = Array.from({ length: SLOTS });
  #timer: Disposable | undefined;
  #tick = 0;
  #count = 0;
  /** Time at the last tick, without stalls: good enough for idle timers, free to read. */
  nowMs = 0;
  #turnedMs = 0;

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** Calls entry.expire once after delayMs, unless armed again or cancelled before. */
  arm(entry: Deadline, delayMs: number): void {
    if (!this.#timer) this.#start();
    const dueMs = this.nowMs + delayMs;
    const earlier = dueMs < entry.dueMs && entry.slot >= 0;
    entry.dueMs = dueMs;
    if (entry.slot < 0) this.#link(entry);
    else if (earlier) {
      this.#unlink(entry);
      this.#link(entry);
    }
  }

  /** Switches the entry off; it leaves its slot when the slot comes up. */
  cancel(entry: Deadline): void {
    entry.dueMs = Number.POSITIVE_INFINITY;
  }

  /** Switches the entry off and forgets it at once: when its owner ends. */
  remove(entry: Deadline): void {
    entry.dueMs = Number.POSITIVE_INFINITY;
    if (entry.slot >= 0) this.#unlink(entry);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#slots.fill(undefined);
  }

  #start(): void {
    this.#turnedMs = this.#clock.monotonicMs();
    this.#timer = this.#clock.setTimer(WHEEL_TICK_MS, () => this.#turn());
  }

  #turn(): void {
    this.#timer = undefined;
    const clockMs = this.#clock.monotonicMs();
    this.nowMs += Math.min(clockMs - this.#turnedMs, TURN_MS_MAX);
    this.#turnedMs = clockMs;
    const from = this.#tick;
    // entries that are linked while slots expire go after the slots of this turn
    this.#tick = Math.floor(this.nowMs / WHEEL_TICK_MS);
    for (let tick = from + 1; tick <= this.#tick; tick++) this.#expireSlot(tick % SLOTS);
    if (this.#count > 0 && !this.#timer)
      this.#timer = this.#clock.setTimer(WHEEL_TICK_MS, () => this.#turn());
  }

  #expireSlot(slot: number): void {
    const entries: Deadline[] = [];
    for (let entry = this.#slots[slot]; entry; entry = entry.next) entries.push(entry);
    for (const entry of entries) {
      // expiring one entry may have removed or moved another
      if (entry.slot !== slot) continue;
      this.#unlink(entry);
      if (entry.dueMs <= this.nowMs) {
        entry.dueMs = Number.POSITIVE_INFINITY;
        entry.expire();
      } else if (entry.dueMs !== Number.POSITIVE_INFINITY) this.#link(entry);
    }
  }

  #link(entry: Deadline): void {
    const ticks = Math.ceil((entry.dueMs - this.nowMs) / WHEEL_TICK_MS);
    const slot = (this.#tick + Math.min(Math.max(1, ticks), SLOTS - 1)) % SLOTS;
    const head = this.#slots[slot];
    entry.slot = slot;
    entry.previous = undefined;
    entry.next = head;
    if (head) head.previous = entry;
    this.#slots[slot] = entry;
    this.#count++;
  }

  #unlink(entry: Deadline): void {
    if (entry.previous) entry.previous.next = entry.next;
    else this.#slots[entry.slot] = entry.next;
    if (entry.next) entry.next.previous = entry.previous;
    entry.slot = -1;
    entry.previous = undefined;
    entry.next = undefined;
    this.#count--;
  }
}
