/** What a wheel holds: one object a connection, made once and set again and again. */
export class WheelTimer {
  /** Called by the wheel, which has let go of the timer already. */
  readonly expired: () => void;
  /** Kept by the wheel. */
  deadlineTick = 0;
  /** Kept by the wheel: the slot's tick, 0 = in no slot. */
  slotTick = 0;
  before: WheelTimer = this;
  after: WheelTimer = this;

  constructor(expired: () => void) {
    this.expired = expired;
  }
}

/**
 * Timers in a ring of slots, one a tick (Varghese and Lauck 1987, scheme 6): setting, moving and cancelling cost the same
 * however many there are, and allocate nothing. A timer is never early and at most one tick late.
 */
export class TimerWheel {
  /** The heads of rings of timers. */
  readonly #slots: readonly WheelTimer[];
  readonly #due = new WheelTimer(nothing);
  readonly #tickMs: number;
  readonly #now: () => number;
  #tick: number;
  #count = 0;
  /** No slot before this one holds a timer. */
  #nextTick = Infinity;

  constructor(
    deps: { readonly monotonicMs: () => number },
    options: { readonly slots: number; readonly tickMs: number },
  ) {
    this.#slots = Array.from({ length: options.slots }, () => new WheelTimer(nothing));
    this.#tickMs = options.tickMs;
    this.#now = deps.monotonicMs;
    this.#tick = this.#tickOf(this.#now());
  }

  get size(): number {
    return this.#count;
  }

  /** Expires `delayMs` from now; a timer that is set already is moved. Moving it later costs two writes. */
  set(timer: WheelTimer, delayMs: number): void {
    timer.deadlineTick = this.#tickOf(this.#now() + delayMs) + 1;
    if (timer.slotTick !== 0 && timer.slotTick <= timer.deadlineTick) return; // its slot will send it on
    if (timer.slotTick === 0) this.#count++;
    else unlink(timer);
    this.#link(timer);
  }

  cancel(timer: WheelTimer): void {
    if (timer.slotTick === 0) return;
    unlink(timer);
    this.#count--;
  }

  /** Milliseconds until the wheel wants to be advanced, for a wait; -1 when nothing is set. */
  get waitMs(): number {
    if (this.#count === 0) return -1;
    return Math.max(0, Math.ceil(this.#nextTick * this.#tickMs - this.#now()));
  }

  /** Expires what is due. Timers may be set and cancelled meanwhile. */
  advance(): void {
    const now = this.#tickOf(this.#now());
    if (now < this.#nextTick) {
      this.#tick = now;
      return;
    }
    const slots = this.#slots.length;
    // after a long sleep each slot is visited once
    const first = Math.max(this.#tick + 1, now - slots + 1);
    this.#tick = now;
    this.#nextTick = Infinity;
    for (let tick = first; tick <= now; tick++) this.#visit(this.#slots[tick % slots]!, now);
    this.#nextTick = this.#look();
  }

  #visit(slot: WheelTimer, now: number): void {
    if (slot.after === slot) return;
    // moved aside first: what is set meanwhile may belong into this very slot, a round later
    const due = this.#due;
    due.after = slot.after;
    due.before = slot.before;
    slot.after.before = due;
    slot.before.after = due;
    slot.after = slot;
    slot.before = slot;
    for (let timer = due.after; timer !== due; timer = due.after) {
      unlink(timer);
      if (timer.deadlineTick > now) this.#link(timer);
      else {
        this.#count--;
        timer.expired();
      }
    }
  }

  #link(timer: WheelTimer): void {
    const farthest = this.#tick + this.#slots.length - 1;
    const tick = Math.max(this.#tick + 1, Math.min(timer.deadlineTick, farthest));
    const slot = this.#slots[tick % this.#slots.length]!;
    timer.slotTick = tick;
    timer.before = slot.before;
    timer.after = slot;
    slot.before.after = timer;
    slot.before = timer;
    if (tick < this.#nextTick) this.#nextTick = tick;
  }

  /** The next tick whose slot holds something. */
  #look(): number {
    if (this.#count === 0) return Infinity;
    for (let ahead = 1; ahead < this.#slots.length; ahead++) {
      const slot = this.#slots[(this.#tick + ahead) % this.#slots.length]!;
      if (slot.after !== slot) return this.#tick + ahead;
    }
    return this.#tick + this.#slots.length;
  }

  #tickOf(ms: number): number {
    return Math.floor(ms / this.#tickMs);
  }
}

function nothing(): void {}

function unlink(timer: WheelTimer): void {
  timer.before.after = timer.after;
  timer.after.before = timer.before;
  // a dead timer that points to live ones would have the collector promote them all
  timer.before = timer;
  timer.after = timer;
  timer.slotTick = 0;
}
