import type { NodeSettings, ServicePortView } from '../../../endpoints/node-view.ts';
import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import { siblingModule } from '../../../src/base/module-url.ts';
import type { EngineMetrics } from '../../../src/net/engine-metrics.ts';
import { SupervisedWorker } from '../../../src/net/native/supervised-worker.ts';
import type { PortCounts } from '../../backend.ts';
import { RELAY_DESCRIPTORS_MAX } from '../../limits.ts';
import type { ProxyProtocol } from '../proxy-protocol.ts';
import type { RelayLimits } from '../relay-context.ts';
import {
  CONTROL,
  type RelayData,
  type RelayDoor,
  type RelayOrder,
  type RelayReply,
} from './relay-messages.ts';

export interface RelayThreadDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: EngineMetrics | undefined;
}

export interface RelayThreadOptions {
  readonly limits: RelayLimits;
  readonly proxyProtocol: ProxyProtocol | undefined;
  readonly node: NodeSettings;
  /** The processor that the thread is bound to; absent = any. */
  readonly cpu?: number | undefined;
}

/** Of the thread, in the log and in metrics. */
const RELAY = 'relay';

interface HeldDoor {
  readonly door: RelayDoor;
  readonly socket: Disposable | undefined;
}

/**
 * One relaying thread and what it was told. Started with its first door. When it fails or falls silent it is started
 * anew and told again; its sockets stay open meanwhile, so clients wait, and what it was relaying is reset.
 */
export class RelayThread implements AsyncDisposable {
  readonly #deps: RelayThreadDeps;
  readonly #options: RelayThreadOptions;
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL.WORDS * 4));
  /** One number, of all threads after one another. */
  readonly #sendErrors = new Float64Array(new SharedArrayBuffer(8));
  readonly #views = new Map<string, ServicePortView>();
  readonly #doors = new Map<number, HeldDoor>();
  /** Told undefined when nobody answers any more. */
  readonly #asked = new Map<number, (counts: readonly PortCounts[] | undefined) => void>();
  /** Of closed doors: open as long as a thread may use their numbers. */
  readonly #leaving = new Set<Disposable>();
  #node: NodeSettings;
  #followed: Disposable | undefined;
  #worker: SupervisedWorker<RelayOrder, RelayReply> | undefined;
  #lastId = 0;
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
   * Takes the door's socket over, if it has one. Disposing stops taking clients in; the socket is closed when the thread
   * has let go of it.
   * Throws when no thread can be started.
   */
  open(door: RelayDoor, socket: Disposable | undefined): Disposable {
    this.#worker ??= this.#start();
    const id = ++this.#lastId;
    this.#doors.set(id, { door, socket });
    this.#tell({ kind: 'open', id, door });
    return {
      [Symbol.dispose]: () => {
        if (this.#doors.delete(id)) void this.#close(id, socket);
      },
    };
  }

  /** A thread that is lost may still come round once more: its sockets stay until it has ended. */
  async #close(id: number, socket: Disposable | undefined): Promise<void> {
    if (socket) this.#leaving.add(socket);
    const answer = await this.#ask({ kind: 'close', id });
    if (!socket || (!answer && this.#worker?.hasThread)) return;
    if (this.#leaving.delete(socket)) socket[Symbol.dispose]();
  }

  /** Tells something that is answered when it is done, or when the thread has ended. */
  async ask(kind: 'sweep' | 'settled' | 'counts' | 'empty'): Promise<readonly PortCounts[]> {
    return (await this.#ask({ kind })) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#worker?.[Symbol.asyncDispose]();
    this.#followed?.[Symbol.dispose]();
    this.#over();
    for (const { socket } of this.#doors.values()) socket?.[Symbol.dispose]();
    this.#doors.clear();
  }

  /** Without a thread: told when one starts. */
  #tell(order: RelayOrder): void {
    this.#worker?.tell(order);
  }

  #ask(order: RelayOrder): Promise<readonly PortCounts[] | undefined> {
    if (!this.#worker?.hasThread) return Promise.resolve(undefined);
    const ask = ++this.#lastId;
    return new Promise((resolve) => {
      this.#asked.set(ask, resolve);
      this.#tell({ ...order, ask });
    });
  }

  #start(): SupervisedWorker<RelayOrder, RelayReply> {
    this.#followed = this.#deps.metrics?.follow(RELAY, {
      sendErrors: () => this.#sendErrors[0]!,
    });
    const { limits, proxyProtocol, cpu } = this.#options;
    const data: RelayData = {
      control: this.#control,
      sendErrors: this.#sendErrors,
      limits,
      proxyProtocol,
    };
    return new SupervisedWorker(
      {
        ...this.#deps,
        heard: (reply) => this.#hear(reply),
        started: (tell) => this.#tellAll(tell),
        lost: () => this.#lost(),
      },
      {
        name: RELAY,
        module: siblingModule(import.meta.url, './relay-worker'),
        data,
        cpu,
        descriptorsMax: RELAY_DESCRIPTORS_MAX,
      },
    );
  }

  #tellAll(tell: (order: RelayOrder) => void): void {
    this.#over();
    tell({ kind: 'follow', node: this.#node });
    for (const view of this.#views.values()) tell({ kind: 'serve', view });
    for (const [id, { door }] of this.#doors) tell({ kind: 'open', id, door });
  }

  #hear(reply: RelayReply): void {
    if (reply.kind === 'accept failed') {
      const { where, errno } = reply;
      this.#deps.log.warn('accept failed', { where, errno });
      this.#deps.metrics?.acceptFailed(RELAY, errno);
      return;
    }
    this.#asked.get(reply.ask)?.(reply.counts ?? []);
    this.#asked.delete(reply.ask);
  }

  /** Nobody answers what the thread was asked. */
  #lost(): void {
    this.#control.fill(0);
    for (const resolve of this.#asked.values()) resolve(undefined);
    this.#asked.clear();
  }

  /** The thread has ended, and what it was asked since it was lost. */
  #over(): void {
    this.#lost();
    for (const socket of this.#leaving) socket[Symbol.dispose]();
    this.#leaving.clear();
  }
}
