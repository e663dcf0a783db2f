import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import { siblingModule } from '../../src/base/module-url.ts';
import type { EngineMetrics } from '../../src/net/engine-metrics.ts';
import { SupervisedWorker } from '../../src/net/native/supervised-worker.ts';
import { TlsSessions } from '../../src/net/native/tls-sessions.ts';
import { DESCRIPTORS_MAX } from './limits.ts';
import { COUNT, type FromWorker, type ToWorker, type WorkerStart } from './messages.ts';

/** Of each worker, in the log and in metrics. */
export const WORKER = 'ingress worker';

export interface WorkerThreadDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: EngineMetrics | undefined;
  heard(message: FromWorker): void;
  /** A thread is there that knows nothing yet: it must be told everything before it accepts. */
  started(tell: (message: ToWorker) => void): void;
  /** It answers nothing any more; somebody else must accept until it is `started` and told. */
  lost(): void;
}

export interface WorkerThreadOptions {
  readonly listeners: WorkerStart['listeners'];
  /** The processor that it is bound to; undefined = any. */
  readonly cpu: number | undefined;
}

/** One worker: its thread and what that counts. */
export class WorkerThread implements AsyncDisposable {
  readonly #counts = new Float64Array(new SharedArrayBuffer(COUNT.WORDS * 8));
  readonly #sessions = TlsSessions.sized(DESCRIPTORS_MAX);
  readonly #followed: Disposable | undefined;
  readonly #worker: SupervisedWorker<ToWorker, FromWorker>;

  constructor(deps: WorkerThreadDeps, { listeners, cpu }: WorkerThreadOptions) {
    const counts = this.#counts;
    this.#followed = deps.metrics?.follow(WORKER, { arenaFull: () => counts[COUNT.ARENA_FULL]! });
    const data: WorkerStart = { listeners, counts, sessions: this.#sessions.memory };
    const started = (tell: (message: ToWorker) => void): void => {
      this.#sessions.freeAll(); // of the thread before
      deps.started(tell);
    };
    const lost = (): void => {
      counts[COUNT.CONNECTIONS] = 0;
      deps.lost();
    };
    this.#worker = new SupervisedWorker(
      { ...deps, started, lost },
      {
        name: WORKER,
        module: siblingModule(import.meta.url, './relay-worker'),
        data,
        cpu,
        descriptorsMax: DESCRIPTORS_MAX,
      },
    );
  }

  /** A thread runs and serves, or will. */
  get isUp(): boolean {
    return this.#worker.isUp;
  }

  get acceptedCount(): number {
    return this.#counts[COUNT.ACCEPTED]!;
  }

  get connectionCount(): number {
    return this.#counts[COUNT.CONNECTIONS]!;
  }

  get requestCount(): number {
    return this.#counts[COUNT.REQUESTS]!;
  }

  /** Threads that had to be replaced. */
  get restarts(): number {
    return this.#worker.restarts;
  }

  /** Lost when there is no thread: the next one is told everything. */
  tell(message: ToWorker): void {
    this.#worker.tell(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker[Symbol.asyncDispose]();
    this.#followed?.[Symbol.dispose]();
    this.#sessions.freeAll();
  }
}
