import type { Clock } from '../../src/base/clock.ts';

/** A line waits so long at most. */
const FLUSH_MS = 200;
/** So much is written at once, waiting or not. */
const FLUSH_CHARS = 64 * 1024;

/** Gathers log lines and writes many at a time. Disposal writes what is left. */
export class LineBuffer implements Disposable {
  readonly #clock: Clock;
  readonly #write: (text: string) => void;
  #held = '';
  #timer: Disposable | undefined;

  constructor(deps: { clock: Clock; write: (text: string) => void }) {
    this.#clock = deps.clock;
    this.#write = deps.write;
  }

  readonly push = (line: string): void => {
    this.#held += `${line}\n`;
    if (this.#held.length >= FLUSH_CHARS) this.flush();
    else this.#timer ??= this.#clock.setTimer(FLUSH_MS, () => this.flush());
  };

  flush(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#held === '') return;
    const text = this.#held;
    this.#held = '';
    this.#write(text);
  }

  [Symbol.dispose](): void {
    this.flush();
  }
}
