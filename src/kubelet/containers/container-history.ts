import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerState } from '../../api/kinds/pod.ts';
import { readJson, writeJson } from '../runtime/container-record.ts';
import { restartDelayMs, restartLevel } from './restart-policy.ts';

/** What the probes of a run have found. */
export interface Probed {
  readonly ready: boolean;
  readonly started: boolean;
}

/** What a container's next keeper must know. */
export interface ContainerMemory extends Probed {
  /** 0 for the first run, then the restart count. */
  readonly attempt: number;
  readonly restartLevel: number;
  readonly state: ContainerState;
  readonly lastState: ContainerState | undefined;
}

const FILE = 'state.json';

export function recall(containerFolder: string): ContainerMemory | undefined {
  return readJson(join(containerFolder, FILE)) as ContainerMemory | undefined;
}

/** The runs of one container up to now; written down at each change for a kubelet that starts again. */
export class ContainerHistory {
  readonly #folder: string;
  readonly #probed: () => Probed;
  #attempt = -1;
  #restartLevel = 0;
  #state: ContainerState = { waiting: { reason: 'ContainerCreating' } };
  #lastState: ContainerState | undefined;
  #frozen = false;

  /** @param probed What the probes of the present run have found so far. */
  constructor(folder: string, probed: () => Probed) {
    this.#folder = folder;
    this.#probed = probed;
  }

  /** The run that is or was last; -1 before the first. */
  get attempt(): number {
    return this.#attempt;
  }

  get state(): ContainerState {
    return this.#state;
  }

  get lastState(): ContainerState | undefined {
    return this.#lastState;
  }

  /** Goes on from what the last keeper wrote; undefined when nobody kept this container before. */
  resume(): ContainerMemory | undefined {
    const memory = recall(this.#folder);
    if (!memory) return undefined;
    this.#attempt = memory.attempt;
    this.#restartLevel = memory.restartLevel;
    this.#lastState = memory.lastState;
    // it waited for its next run: how the last one ended decides whether there is one
    const ended = memory.state.waiting && memory.lastState?.terminated;
    this.#state = ended ? memory.lastState : memory.state;
    return memory;
  }

  /** A process of this run exists. */
  begin(attempt: number): void {
    this.#keepEnd();
    this.#attempt = attempt;
  }

  become(state: ContainerState): void {
    if (state.waiting) this.#keepEnd();
    this.#state = state;
    this.save();
  }

  /** @param ranMs How long the run lasted; a long one forgives the restarts before it. */
  end(terminated: NonNullable<ContainerState['terminated']>, ranMs: number): void {
    this.#restartLevel = restartLevel(this.#restartLevel, ranMs);
    this.become({ terminated });
  }

  /** The wait before the restart that comes now, in milliseconds; the next one waits longer. */
  nextDelayMs(): number {
    return restartDelayMs(this.#restartLevel++);
  }

  save(): void {
    if (this.#attempt < 0 || this.#frozen) return;
    const { ready, started } = this.#probed();
    mkdirSync(this.#folder, { recursive: true });
    writeJson(join(this.#folder, FILE), {
      attempt: this.#attempt,
      restartLevel: this.#restartLevel,
      state: this.#state,
      lastState: this.#lastState,
      ready,
      started,
    } satisfies ContainerMemory);
  }

  /** Writes nothing more: what stands there now is for the next keeper. */
  freeze(): void {
    this.#frozen = true;
  }

  #keepEnd(): void {
    if (this.#state.terminated) this.#lastState = { terminated: this.#state.terminated };
  }
}
