import type { Clock } from '../../src/base/clock.ts';
import type { AnswerWatcher } from '../answer-summary.ts';
import { type AnswerRingMemory, answerRingMemory, AnswerRingReader } from '../cluster/table/answer-ring.ts';
import { WATCH_DRAIN, WATCH_GATHER_MS, WATCH_RING_SLOTS } from '../limits.ts';
import type { Transport } from '../query.ts';

/** Tells the watchers of one reader of the table what it answered. */
export class WatchedAnswers {
  readonly memory: AnswerRingMemory;
  readonly #clock: Clock;
  readonly #watchers: readonly AnswerWatcher[];
  readonly #transport: Transport;
  readonly #ring: AnswerRingReader;
  #isAwake = false;

  /** `slots`: how many may wait, a power of two. */
  constructor(
    clock: Clock,
    watchers: readonly AnswerWatcher[],
    transport: Transport,
    slots: number = WATCH_RING_SLOTS,
  ) {
    const policies = watchers.map(({ policy }) => policy);
    this.memory = answerRingMemory(slots, policies);
    this.#clock = clock;
    this.#watchers = watchers;
    this.#transport = transport;
    this.#ring = new AnswerRingReader(this.memory);
  }

  /** The reader on its thread has woken us: what comes is gathered for a while, until nothing comes any more. */
  heard(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#later(WATCH_GATHER_MS);
  }

  /** Tells all that is there, now. */
  drain(): void {
    while (this.#tell() > 0);
  }

  #later(delayMs: number): void {
    this.#clock.setTimer(delayMs, () => {
      const told = this.#tell();
      if (told === WATCH_DRAIN) return this.#later(0);
      if (told > 0 || !this.#ring.sleep()) return this.#later(WATCH_GATHER_MS);
      this.#isAwake = false;
    });
  }

  /** What is there, as much as is fair; how many. */
  #tell(): number {
    const watchers = this.#watchers;
    const count = this.#ring.drain(WATCH_DRAIN, this.#transport, (answer, chosen) => {
      for (const [i, watcher] of watchers.entries()) if ((chosen & (1 << i)) !== 0) watcher.observe(answer);
    });
    for (const [i, watcher] of watchers.entries()) {
      const dropped = this.#ring.takeDropped(i);
      if (dropped > 0) watcher.missed(dropped);
    }
    return count;
  }
}
