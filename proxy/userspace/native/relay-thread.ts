import { Worker } from 'node:worker_threads';
import type { NodeSettings, ServicePortView } from '../../../endpoints/node-view.ts';
import { backoffDelayMs } from '../../../src/base/backoff.ts';
import type { Clock } from '../../../src/base/clock.ts';
import { messageOf } from '../../../src/base/fault.ts';
import type { Logger } from '../../../src/base/log.ts';
import { siblingModule } from '../../../src/base/module-url.ts';
import { DescriptorTable } from '../../../src/net/native/descriptor-table.ts';
import { WakeUp } from '../../../src/net/native/event-fd.ts';
import {
  PULSE_LOOK_MS,
  PULSE_MISSES_MAX,
  PulseWatch,
  stoppedThread,
} from '../../../src/net/native/pulse-watch.ts';
import type { StreamListener } from '../../../src/net/native/stream-listener.ts';
import type { PortCounts } from '../../backend.ts';
import { RELAY_DESCRIPTORS_MAX, RELAY_RESTART_MS, RELAY_RESTART_MAX_MS } from '../../limits.ts';
import type { ProxyProtocol } from '../proxy-protocol.ts';
import type { RelayLimits } from '../relay-context.ts';
import {
  CONTROL,
  type RelayData,
  type RelayDoor,
  type RelayOrder,
  type RelayReply,
} from './relay-messages.ts';

const RESTART_BACKOFF = {
  minMs: RELAY_RESTART_MS,
  maxMs: RELAY_RESTART_MAX_MS,
  jitter: 0,
  random: () => 0,
};

export interface RelayThreadDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RelayThreadOptions {
  readonly limits: RelayLimits;
  readonly proxyProtocol: ProxyProtocol | undefined;
  readonly node: NodeSettings;
}

interface HeldDoor {
  readonly door: RelayDoor;
  readonly listener: StreamListener | undefined;
}

/**
 * One relaying thread and what it was told. Started with its first door. When it fails or falls silent it is started
 * anew and told again; its listeners stay open meanwhile, so clients wait, and what it was relaying is reset.
 */
export class RelayThread implements AsyncDisposable {
  readonly #deps: RelayThreadDeps;
  readonly #options: RelayThreadOptions;
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL.WORDS * 4));
  readonly #descriptors = DescriptorTable.sized(RELAY_DESCRIPTORS_MAX);
  readonly #views = new Map<string, ServicePortView>();
  readonly #doors = new Map<number, HeldDoor>();
  readonly #asked = new Map<number, (counts: readonly PortCounts[]) => void>();
  #node: NodeSettings;
  #wakeUp: WakeUp | undefined;
  #worker: Worker | undefined;
  #exit: Promise<void> = Promise.resolve();
  #restart: Disposable | undefined;
  #watch: PulseWatch | undefined;
  #lastId = 0;
  #failures = 0;
  #open = true;

  constructor(deps: RelayThreadDeps, options: RelayThreadOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#node = options.node;
  }

  get activeCount(): number {
    return Atomics.load(this.#control, CONTROL.ACTIVE);
  }

  follow(node: NodeSettings): void {
    this.#node = node;
    this.#tell({ kind: 'follow', node });
  }

  serve(view: ServicePortView): void {
    this.#views.set(view.key, view);
    this.#tell({ kind: 'serve', view });
  }

  forget(key: string): void {
    if (this.#views.delete(key)) this.#tell({ kind: 'forget', key });
  }

  /**
   * Takes the listener over, if it has one. Disposing stops accepting; it is closed when the thread has let go of it.
   * Throws when no thread can be started.
   */
  open(door: RelayDoor, listener: StreamListener | undefined): Disposable {
    if (!this.#worker && !this.#restart) this.#start();
    const id = ++this.#lastId;
    this.#doors.set(id, { door, listener });
    this.#tell({ kind: 'open', id, door });
    return {
      [Symbol.dispose]: () => {
        if (this.#doors.delete(id))
          void this.#ask({ kind: 'close', id }).then(() => listener?.[Symbol.dispose]());
      },
    };
  }

  /** Tells something that is answered when it is done, or when the thread has ended. */
  async ask(kind: 'sweep' | 'settled' | 'counts' | 'empty'): Promise<readonly PortCounts[]> {
    return await this.#ask({ kind });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#watch?.[Symbol.dispose]();
    this.#restart?.[Symbol.dispose]();
    this.#tell({ kind: 'stop' });
    await stoppedThread(this.#deps.clock, this.#worker, this.#exit);
    for (const { listener } of this.#doors.values()) listener?.[Symbol.dispose]();
    this.#doors.clear();
  }

  #tell(order: RelayOrder): void {
    if (!this.#worker) return; // told when it starts
    this.#worker.postMessage(order, []);
    this.#wakeUp?.wake();
  }

  #ask(order: RelayOrder): Promise<readonly PortCounts[]> {
    if (!this.#worker) return Promise.resolve([]);
    const ask = ++this.#lastId;
    return new Promise((resolve) => {
      this.#asked.set(ask, resolve);
      this.#tell({ ...order, ask });
    });
  }

  #start(): void {
    const wakeUp = (this.#wakeUp = WakeUp.open());
    const { limits, proxyProtocol } = this.#options;
    const data: RelayData = {
      control: this.#control,
      descriptors: this.#descriptors.memory,
      wakeFd: wakeUp.fd,
      limits,
      proxyProtocol,
      node: this.#node,
    };
    const worker = new Worker(siblingModule(import.meta.url, './relay-worker'), { workerData: data });
    this.#worker = worker;
    worker.on('message', (reply: RelayReply) => this.#hear(reply));
    worker.on('error', (error) => this.#deps.log.error('relay failed', { reason: messageOf(error) }));
    this.#exit = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#ended();
        resolve();
      });
    });
    for (const view of this.#views.values()) this.#tell({ kind: 'serve', view });
    for (const [id, { door }] of this.#doors) this.#tell({ kind: 'open', id, door });
    this.#watch ??= this.#watchPulse();
  }

  #hear(reply: RelayReply): void {
    if (reply.kind === 'accept failed') {
      const { where, errno } = reply;
      this.#deps.log.warn('accept failed', { where, errno });
      return;
    }
    this.#asked.get(reply.ask)?.(reply.counts ?? []);
    this.#asked.delete(reply.ask);
  }

  /** The thread is gone: what it had open is closed here, for the kernel would keep it. */
  #ended(): void {
    this.#worker = undefined;
    this.#wakeUp?.[Symbol.dispose]();
    this.#descriptors.closeAll();
    this.#control.fill(0);
    for (const resolve of this.#asked.values()) resolve([]);
    this.#asked.clear();
    if (!this.#open) return;
    this.#deps.log.warn('relay started anew');
    this.#startLater();
  }

  /** After a pause that grows while threads keep failing. */
  #startLater(): void {
    const pauseMs = backoffDelayMs(this.#failures++, RESTART_BACKOFF);
    this.#restart = this.#deps.clock.setTimer(pauseMs, () => {
      this.#restart = undefined;
      try {
        this.#start();
      } catch (error) {
        this.#deps.log.error('relay failed', { reason: messageOf(error) });
        this.#startLater();
      }
    });
  }

  #watchPulse(): PulseWatch {
    return new PulseWatch(this.#deps.clock, {
      beats: () => Atomics.load(this.#control, CONTROL.BEATS),
      onLook: (beats) => {
        if (beats > PULSE_MISSES_MAX) this.#failures = 0; // it has come round for a while
        this.#wakeUp?.wake();
      },
      onStill: () => {
        this.#deps.log.error('relay stuck', { silentMs: PULSE_MISSES_MAX * PULSE_LOOK_MS });
        void this.#worker?.terminate();
      },
    });
  }
}
