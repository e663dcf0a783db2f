import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Resource } from '../api/client/client.ts';
import type { Informer, ObjectMemory } from '../api/client/informer.ts';
import type { KubeObject } from '../api/kinds/meta.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/fault.ts';
import type { Logger } from '../base/log.ts';
import { SyncLoop } from '../base/sync-loop.ts';
import { readStateFile, type StoredState, writeStateFile } from './state-file.ts';

/** Changes are written at most so often. */
const SAVE_INTERVAL_MS = 5_000;
/** After a failure (a full or read-only disk). */
const SAVE_RETRY_MS = 60_000;
/** Writing takes at most this share of the time, however much there is. */
const SAVE_TIME_SHARE = 0.05;

export interface LastStateDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

export interface LastStateOptions {
  readonly folder: string;
  /** URL of the API server: what another one said is not used. */
  readonly server: string;
  /** Collections that are kept. */
  readonly resources: readonly Resource[];
}

/**
 * What the API said last, kept in files, one a collection: a daemon that starts while the API cannot be reached serves
 * it at once. Written some seconds after a change and at the end; only what the API itself said in this run.
 */
export class LastState implements ObjectMemory, AsyncDisposable {
  readonly #deps: LastStateDeps;
  readonly #options: LastStateOptions;
  readonly #loop: SyncLoop;
  readonly #stored = new Map<string, StoredState>();
  readonly #informers = new Map<string, Informer<KubeObject>>();
  readonly #changed = new Set<string>();
  #pauseUntilMs = 0;
  #isFailing = false;

  private constructor(deps: LastStateDeps, options: LastStateOptions) {
    this.#deps = deps;
    this.#options = options;
    const pace = { minIntervalMs: SAVE_INTERVAL_MS, retryIntervalMs: SAVE_INTERVAL_MS, maxIntervalMs: 0 };
    this.#loop = new SyncLoop(deps, pace, () => this.#saveUnlessBusy());
  }

  /** Reads what is there; a file that is damaged or of another server is left out with a line in the log. */
  static async open(deps: LastStateDeps, options: LastStateOptions): Promise<LastState> {
    const last = new LastState(deps, options);
    for (const { plural } of options.resources) await last.#read(plural);
    return last;
  }

  recall({ plural }: Resource): readonly KubeObject[] | undefined {
    return this.#stored.get(plural)?.objects;
  }

  remember(informer: Informer<KubeObject>): void {
    const { plural } = informer.resource;
    if (!this.#options.resources.some((each) => each.plural === plural)) return;
    this.#informers.set(plural, informer);
    const mark = (): void => {
      this.#changed.add(plural);
      this.#loop.mark();
    };
    informer.subscribe(mark);
    // an empty collection has no events
    informer.synced().then(mark, () => {});
  }

  /** Writes what is not written yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
    await this.#save();
  }

  async #read(plural: string): Promise<void> {
    try {
      const stored = await readStateFile(this.#path(plural));
      if (stored?.server === this.#options.server) this.#stored.set(plural, stored);
    } catch (error) {
      this.#deps.log.warn('last state not readable', { resource: plural, reason: messageOf(error) });
    }
  }

  async #saveUnlessBusy(): Promise<void> {
    const { clock } = this.#deps;
    const startMs = clock.monotonicMs();
    if (startMs < this.#pauseUntilMs) return this.#loop.mark();
    await this.#save();
    const endMs = clock.monotonicMs();
    this.#pauseUntilMs = endMs + (this.#isFailing ? SAVE_RETRY_MS : (endMs - startMs) / SAVE_TIME_SHARE);
    if (this.#isFailing) this.#loop.mark();
  }

  /** Said once, however long it does not work. */
  async #save(): Promise<void> {
    try {
      for (const plural of this.#changed) await this.#write(plural);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#deps.log.warn('last state not saved', { reason: messageOf(error) });
      this.#isFailing = true;
    }
  }

  async #write(plural: string): Promise<void> {
    const { folder, server } = this.#options;
    const informer = this.#informers.get(plural);
    // what was only recalled is on disk already
    if (!informer || informer.resourceVersion === '') return;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#changed.delete(plural);
    try {
      const savedAt = new Date(this.#deps.clock.nowMs()).toISOString();
      await writeStateFile(this.#path(plural), { server, savedAt }, Array.from(informer.list()));
    } catch (error) {
      this.#changed.add(plural);
      throw error;
    }
  }

  #path(plural: string): string {
    return join(this.#options.folder, `${plural}.ndjson`);
  }
}
