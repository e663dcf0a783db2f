import { Worker } from 'node:worker_threads';
import type { Clock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { DescriptorTable } from '../../src/net/native/descriptor-table.ts';
import { WakeUp } from '../../src/net/native/event-fd.ts';
import { PulseWatch, stoppedThread } from '../../src/net/native/pulse-watch.ts';
import { DESCRIPTORS_MAX, WORKER_RESTART_MS, WORKER_RESTART_MS_MAX, WORKER_WELL_MS } from './limits.ts';
import { COUNT, type FromWorker, type ToWorker, type WorkerStart } from './messages.ts';

export interface WorkerThreadDeps {
  /** What the thread runs. */
  readonly module: URL;
  readonly clock: Clock;
  readonly log: Logger;
  heard(message: FromWorker): void;
  /** A thread is there that knows nothing yet: it must be told everything before it accepts. */
  started(): void;
  /** It answers nothing any more; somebody else must accept until it is `started` and told. */
  lost(): void;
}

/** One worker: its thread, the memory it shares, its pulse. A thread that ends or stands still is replaced within a second. */
export class WorkerThread implements AsyncDisposable {
  readonly #deps: WorkerThreadDeps;
  readonly #listeners: WorkerStart['listeners'];
  /** Of threads that have ended. */
  #acceptedBefore = 0;
  #descriptors: DescriptorTable;
  #counts: Float64Array<SharedArrayBuffer>;
  #pulse: Int32Array<SharedArrayBuffer>;
  #worker: Worker;
  readonly #wakeUp = WakeUp.open();
  #isUp = false;
  #startedMs = 0;
  /** Between the end of a thread and the start of the next. */
  #delayMs = WORKER_RESTART_MS;
  readonly #watch: PulseWatch;
  #restart: Disposable | undefined;
  #isOpen = true;

  constructor(deps: WorkerThreadDeps, listeners: WorkerStart['listeners']) {
    this.#deps = deps;
    this.#listeners = listeners;
    this.#descriptors = DescriptorTable.sized(DESCRIPTORS_MAX);
    this.#counts = sharedFloats(COUNT.WORDS);
    this.#pulse = new Int32Array(new SharedArrayBuffer(4));
    this.#worker = this.#start();
    this.#watch = this.#watchPulse();
  }

  /** A thread runs and can be told something. */
  get isUp(): boolean {
    return this.#isUp;
  }

  get acceptedCount(): number {
    return this.#acceptedBefore + this.#counts[COUNT.ACCEPTED]!;
  }

  get connectionCount(): number {
    return this.#counts[COUNT.CONNECTIONS]!;
  }

  get requestCount(): number {
    return this.#counts[COUNT.REQUESTS]!;
  }

  /** Lost when there is no thread: the next one is told everything. */
  tell(message: ToWorker): void {
    if (!this.isUp) return;
    this.#worker.postMessage(message, []);
    this.#wakeUp.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watch[Symbol.dispose]();
    if (this.#restart) {
      this.#restart[Symbol.dispose]();
      return this.#wakeUp[Symbol.dispose]();
    }
    const ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    if (this.isUp) this.tell({ kind: 'stop' });
    else void this.#worker.terminate();
    await stoppedThread(this.#deps.clock, this.#worker, ended);
    this.#descriptors.closeAll();
    this.#wakeUp[Symbol.dispose]();
  }

  #start(): Worker {
    this.#startedMs = this.#deps.clock.monotonicMs();
    const { memory: descriptors } = this.#descriptors;
    const start: WorkerStart = {
      listeners: this.#listeners,
      descriptors,
      counts: this.#counts,
      pulse: this.#pulse,
      wakeFd: this.#wakeUp.fd,
    };
    const worker = new Worker(this.#deps.module, {
      name: 'weft-ingress',
      workerData: start,
    });
    worker.on('message', (message: FromWorker) => {
      if (message.kind !== 'up') return this.#deps.heard(message);
      this.#isUp = true;
      this.#deps.started();
    });
    worker.on('error', (error) =>
      this.#deps.log.error('ingress worker failed', { reason: messageOf(error) }),
    );
    worker.once('exit', () => this.#ended());
    return worker;
  }

  /** The kernel closes nothing while the process lives: what the thread had open is closed here. */
  #ended(): void {
    this.#isUp = false;
    this.#descriptors.closeAll();
    if (!this.#isOpen) return;
    this.#acceptedBefore += this.#counts[COUNT.ACCEPTED]!;
    this.#deps.log.warn('ingress worker started anew', {});
    this.#deps.lost();
    const { clock } = this.#deps;
    const wasWell = clock.monotonicMs() - this.#startedMs > WORKER_WELL_MS;
    this.#delayMs = wasWell ? WORKER_RESTART_MS : Math.min(this.#delayMs * 2, WORKER_RESTART_MS_MAX);
    this.#restart = clock.setTimer(this.#delayMs, () => {
      this.#restart = undefined;
      this.#descriptors = DescriptorTable.sized(DESCRIPTORS_MAX);
      this.#counts = sharedFloats(COUNT.WORDS);
      this.#pulse = new Int32Array(new SharedArrayBuffer(4));
      this.#worker = this.#start();
    });
  }

  #watchPulse(): PulseWatch {
    return new PulseWatch(this.#deps.clock, {
      beats: () => (this.isUp ? Atomics.load(this.#pulse, 0) : 0),
      onStill: () => {
        this.#deps.log.error('ingress worker stands still', {});
        this.#deps.lost();
        void this.#worker.terminate();
      },
    });
  }
}

function sharedFloats(words: number): Float64Array<SharedArrayBuffer> {
  return new Float64Array(new SharedArrayBuffer(words * 8));
}
