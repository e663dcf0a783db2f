import { backoffDelayMs } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { PodFacts } from '../environment/field-ref.ts';
import type { PlannedPod } from '../containers/launch-planner.ts';
import { VOLUME_RETRY_MAX_MS, VOLUME_RETRY_MIN_MS } from '../limits.ts';
import type { PodVolumes } from '../volumes/pod-volumes.ts';

interface PreparationDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly volumes: PodVolumes;
  /** What is known of the pod now. */
  facts(): PodFacts;
  event(type: 'Warning', reason: string, message: string): void;
}

/** Makes the volumes of a pod before its containers start, and keeps them fresh. */
export class PodPreparation {
  readonly #deps: PreparationDeps;
  readonly #signal: AbortSignal;
  #planned: PlannedPod | undefined;
  #goOn: (() => void) | undefined;

  /** @param signal aborted when the pod is to end */
  constructor(deps: PreparationDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#goOn?.(), { once: true });
  }

  get isDone(): boolean {
    return this.#planned !== undefined;
  }

  /** Undefined until the volumes are made. */
  get planned(): PlannedPod | undefined {
    return this.#planned && { ...this.#planned, facts: this.#deps.facts() };
  }

  /** Tries until the volumes are made; false when the pod was told to stop meanwhile. */
  async run(): Promise<boolean> {
    for (let attempt = 0; !this.#signal.aborted; attempt++) {
      try {
        const facts = this.#deps.facts();
        this.#planned = { facts, volumeFolders: await this.#deps.volumes.materialise(facts) };
        return !this.#signal.aborted;
      } catch (error) {
        this.#failed(error);
        await this.#wait(attempt);
      }
    }
    return false;
  }

  /** A source of a volume changed, or may have. */
  refresh(): void {
    if (this.#goOn) return this.#goOn();
    if (!this.#planned || this.#signal.aborted) return;
    const { volumes } = this.#deps;
    void volumes.materialise(this.#deps.facts()).catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    this.#deps.event('Warning', 'FailedMount', messageOf(error));
  }

  /** Until a source changes, the back-off is over, or the pod is told to stop. */
  #wait(attempt: number): Promise<void> {
    if (this.#signal.aborted) return Promise.resolve();
    const { clock, random } = this.#deps;
    const delayMs = backoffDelayMs(attempt, {
      minMs: VOLUME_RETRY_MIN_MS,
      maxMs: VOLUME_RETRY_MAX_MS,
      jitter: 0.2,
      random,
    });
    return new Promise((resolve) => {
      const timer = clock.setTimer(delayMs, () => this.#goOn?.());
      this.#goOn = () => {
        timer[Symbol.dispose]();
        this.#goOn = undefined;
        resolve();
      };
    });
  }
}
