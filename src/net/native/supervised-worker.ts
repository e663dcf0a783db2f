import { Worker, type ResourceLimits } from 'node:worker_threads';
import { backoffDelayMs } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { EngineMetrics, LossReason } from '../engine-metrics.ts';
import { mayEnd } from './binding.ts';
import { DescriptorTable } from './descriptor-table.ts';
import { WakeUp } from './event-fd.ts';
import { PULSE_LOOK_MS, PULSE_MISSES_MAX, PulseWatch } from './pulse-watch.ts';
import { SEAT, type SeatData, type Seated, stateOf } from './thread-seat.ts';

/** Pause before the next thread, doubling while threads keep failing: starting one costs a tenth of a second of CPU. */
const RESTART = { minMs: 50, maxMs: 1_000, jitter: 0, random: () => 0 };
/** After a thread that ran so long the next pause is the shortest again. */
const WELL_MS = 10_000;
/** A thread that cannot be ended now, because it binds calls, is tried again this much later. */
const BINDING_LOOK_MS = 10;
/** Numbers of descriptors that a thread may hold, unless said otherwise. */
const DESCRIPTORS_MAX = 65_536;

export interface SupervisedWorkerDeps<Order, Reply> {
  readonly clock: Clock;
  readonly log: Logger;
  /** Counts losses and restarts, by name. */
  readonly metrics?: EngineMetrics | undefined;
  heard(reply: Reply): void;
  /** A thread was started that knows nothing: what it is told here it reads first. In the constructor, too. */
  started?(tell: (order: Order) => void): void;
  /** None comes round any more. Called once for each; the next one starts by itself. */
  lost?(): void;
}

export interface SupervisedWorkerOptions {
  /** In log lines: `NAME failed`, `NAME stuck`, `NAME started anew`. */
  readonly name: string;
  /** What the thread runs; it begins with ThreadSeat.take(). */
  readonly module: URL;
  /** Survives a structured clone; the thread's `seat.data`. */
  readonly data: unknown;
  readonly cpu?: number | undefined;
  /** Numbers beyond it, which the whole process shares, the thread does not take (EMFILE). */
  readonly descriptorsMax?: number;
  readonly resourceLimits?: ResourceLimits;
  /** For each log line. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/**
 * A thread that is always there: one that ends or comes round no more is noticed within a second, ended, rid of its
 * descriptors, and replaced. Sockets that others must find meanwhile belong to the owner and stay open.
 */
export class SupervisedWorker<Order, Reply> implements AsyncDisposable {
  /** Resolves when the first thread runs, or has failed. */
  readonly seated: Promise<void>;
  readonly #deps: SupervisedWorkerDeps<Order, Reply>;
  readonly #options: SupervisedWorkerOptions;
  readonly #words = new Int32Array(new SharedArrayBuffer(SEAT.WORDS * 4));
  readonly #state = stateOf(this.#words);
  readonly #descriptors: DescriptorTable;
  readonly #wakeUp = WakeUp.open();
  readonly #watch: PulseWatch;
  #worker: Worker | undefined;
  #exit: Promise<void> = Promise.resolve();
  #isUp = false;
  #isLost = false;
  #restarts = 0;
  #failures = 0;
  #startedMs = 0;
  #restart: Disposable | undefined;
  #isOpen = true;
  #wasSeated: () => void = () => {};

  /** Throws when no thread can be started: Fault FFI, EMFILE, or Node's ERR_WORKER_INIT_FAILED. */
  constructor(deps: SupervisedWorkerDeps<Order, Reply>, options: SupervisedWorkerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#descriptors = DescriptorTable.sized(options.descriptorsMax ?? DESCRIPTORS_MAX);
    this.seated = new Promise((resolve) => (this.#wasSeated = resolve));
    try {
      this.#start();
    } catch (error) {
      this.#wakeUp[Symbol.dispose]();
      throw error;
    }
    this.#watch = new PulseWatch(deps.clock, {
      beats: () => Atomics.load(this.#words, SEAT.BEATS),
      onStill: () => this.#stuck(),
    });
  }

  /** A thread runs, as far as is known. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** What is told now reaches a thread, if only one that is about to end. */
  get hasThread(): boolean {
    return this.#worker !== undefined;
  }

  /** Threads that had to be replaced. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Lost when there is no thread: the next one is told by `started`. */
  tell(order: Order): void {
    if (!this.#worker) return;
    this.#worker.postMessage(order, []);
    Atomics.add(this.#words, SEAT.NEWS, 1);
    this.#wakeUp.wake();
  }

  /** Ends the thread; one that does not end by itself within a second is ended. Its descriptors are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return await this.#exit;
    this.#isOpen = false;
    this.#watch[Symbol.dispose]();
    this.#restart?.[Symbol.dispose]();
    Atomics.store(this.#words, SEAT.STOP, 1);
    this.#wakeUp.wake();
    const worker = this.#worker;
    {
      const patienceMs = PULSE_MISSES_MAX * PULSE_LOOK_MS;
      using _timer = this.#deps.clock.setTimer(patienceMs, () => {
        this.#terminate(worker);
      });
      await this.#exit;
    }
    this.#wakeUp[Symbol.dispose]();
  }

  #start(): void {
    this.#startedMs = this.#deps.clock.monotonicMs();
    this.#isLost = false;
    const { module, name, data, cpu, resourceLimits } = this.#options;
    const seat: SeatData = {
      words: this.#words,
      descriptors: this.#descriptors.memory,
      wakeFd: this.#wakeUp.fd,
      cpu,
    };
    const worker = new Worker(module, {
      name,
      workerData: { seat, data },
      ...(resourceLimits && { resourceLimits }),
    });
    this.#worker = worker;
    worker.once('message', (seated: Seated) => {
      this.#sit(seated);
      worker.on('message', (reply: Reply) => this.#deps.heard(reply));
    });
    worker.on('error', (error) => this.#failed(error));
    this.#exit = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#ended();
        resolve();
      });
    });
    this.#deps.started?.((order) => this.tell(order));
  }

  #sit({ complaint }: Seated): void {
    this.#isUp = this.#worker !== undefined && !this.#isLost;
    this.#wasSeated();
    if (complaint === undefined) return;
    const { name, fields } = this.#options;
    this.#deps.log.warn(`${name} not bound to its processor`, { ...fields, reason: complaint });
  }

  #failed(error: unknown): void {
    const { name, fields } = this.#options;
    this.#deps.log.error(`${name} failed`, { ...fields, reason: messageOf(error) });
  }

  #stuck(): void {
    const { name, fields } = this.#options;
    this.#deps.log.error(`${name} stuck`, { ...fields, silentMs: PULSE_MISSES_MAX * PULSE_LOOK_MS });
    this.#lose('stuck');
    this.#terminate(this.#worker);
  }

  /** As soon as it binds nothing: it would take the process along. One that still loads may end by itself before. */
  #terminate(worker: Worker | undefined): void {
    if (!worker || worker !== this.#worker) return;
    if (mayEnd(this.#state)) void worker.terminate();
    else this.#deps.clock.setTimer(BINDING_LOOK_MS, () => this.#terminate(worker));
  }

  /** The kernel closes nothing while the process lives: what the thread had open is closed here. */
  #ended(): void {
    this.#worker = undefined;
    this.#descriptors.closeAll();
    this.#words.fill(0);
    this.#wasSeated();
    if (!this.#isOpen) return;
    this.#lose('ended');
    if (this.#deps.clock.monotonicMs() - this.#startedMs > WELL_MS) this.#failures = 0;
    this.#startLater();
  }

  #lose(reason: LossReason): void {
    this.#isUp = false;
    if (this.#isLost) return;
    this.#isLost = true;
    this.#deps.metrics?.lost(this.#options.name, reason);
    this.#deps.lost?.();
  }

  #startLater(): void {
    this.#restart = this.#deps.clock.setTimer(backoffDelayMs(this.#failures++, RESTART), () => {
      this.#restart = undefined;
      try {
        this.#start();
      } catch (error) {
        this.#failed(error);
        return this.#startLater();
      }
      this.#restarts++;
      const { name, fields } = this.#options;
      this.#deps.metrics?.restarted(name);
      this.#deps.log.warn(`${name} started anew`, { ...fields });
    });
  }
}
