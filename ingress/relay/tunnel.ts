import type { Duplex } from 'node:stream';
import { Deadline, type TimerWheel } from '../timer-wheel.ts';

/**
 * Two byte streams tied together: upgrades, extended CONNECT, TCP exposure, TLS passthrough. Ends when both
 * directions ended, when one side broke, or when nothing moved for idleMs. Owns both streams.
 */
export class Tunnel implements Disposable {
  readonly #a: Duplex;
  readonly #b: Duplex;
  readonly #wheel: TimerWheel;
  readonly #idleMs: number;
  readonly #deadline: Deadline;
  readonly #ended: (bytes: number) => void;
  #bytes = 0;
  #closed = 0;
  #over = false;

  /** `ended` is called once, with the bytes that went from b to a. */
  constructor(
    deps: { wheel: TimerWheel },
    a: Duplex,
    b: Duplex,
    idleMs: number,
    ended: (bytes: number) => void,
  ) {
    this.#a = a;
    this.#b = b;
    this.#wheel = deps.wheel;
    this.#idleMs = idleMs;
    this.#ended = ended;
    this.#deadline = new Deadline(() => this[Symbol.dispose]());
    this.#join(a, b, false);
    this.#join(b, a, true);
    this.#touch();
  }

  [Symbol.dispose](): void {
    if (this.#over) return;
    this.#over = true;
    this.#wheel.remove(this.#deadline);
    this.#a.destroy();
    this.#b.destroy();
    this.#ended(this.#bytes);
  }

  #touch(): void {
    this.#wheel.arm(this.#deadline, this.#idleMs);
  }

  #join(from: Duplex, to: Duplex, counted: boolean): void {
    from.on('data', (bytes: Buffer) => {
      this.#touch();
      if (counted) this.#bytes += bytes.length;
      if (!to.write(bytes)) from.pause();
    });
    to.on('drain', () => from.resume());
    from.on('end', () => to.end());
    from.on('error', () => this[Symbol.dispose]());
    from.on('close', () => {
      if (++this.#closed === 2 || !from.readableEnded) this[Symbol.dispose]();
    });
    from.resume();
  }
}
