import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../src/base/fault.ts';
import type { StoreWatchBatch } from '../../src/store/store.ts';
import type { OwnNetwork } from './own-network.ts';
import type { ServerRequest } from './store-server.ts';

const SERVER = fileURLToPath(new URL('./store-server.ts', import.meta.url));

interface Reply {
  readonly id?: number;
  readonly result?: unknown;
  readonly code?: string;
  readonly batch?: StoreWatchBatch;
  readonly ready?: true;
}

/** A store in a child process that can be killed, paused and started again. */
export class StoreProcess implements AsyncDisposable {
  readonly #url: string;
  readonly #network: OwnNetwork | undefined;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  readonly #onBatch: (batch: StoreWatchBatch) => void;
  #child: ChildProcess | undefined;
  #ready = Promise.withResolvers<void>();
  #lastId = 0;

  /** @param network where the process runs; absent = the host's */
  constructor(url: string, onBatch: (batch: StoreWatchBatch) => void, network?: OwnNetwork) {
    this.#url = url;
    this.#network = network;
    this.#onBatch = onBatch;
  }

  async start(): Promise<void> {
    const inside = this.#network && {
      execPath: 'ip',
      execArgv: ['netns', 'exec', this.#network.name, process.execPath],
    };
    this.#child = fork(SERVER, [this.#url], { serialization: 'advanced', execArgv: [], ...inside });
    this.#child.on('message', (reply: Reply) => this.#take(reply));
    this.#child.on('error', () => {}); // a channel that breaks because the process was killed
    await this.#ready.promise;
  }

  /** Rejects with STORE_OUTCOME_UNKNOWN when the process dies before it answers. */
  async call<T>(call: ServerRequest['call'], ...args: unknown[]): Promise<T> {
    await this.#ready.promise;
    return await new Promise<T>((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#child?.send({ id, call, args }, () => {});
    });
  }

  watch(prefix: string, fromRevision: number): void {
    this.#child?.send({ id: 0, call: 'watch', args: [prefix, fromRevision] }, () => {});
  }

  async kill(): Promise<void> {
    this.#ready = Promise.withResolvers<void>();
    const gone = once(this.#child!, 'close');
    this.#child!.kill('SIGKILL');
    await gone;
    for (const waiting of this.#waiting.values()) {
      waiting.reject(new Fault('STORE_OUTCOME_UNKNOWN', 'the process was killed'));
    }
    this.#waiting.clear();
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #take(reply: Reply): void {
    if (reply.ready) return this.#ready.resolve();
    if (reply.batch) return this.#onBatch(reply.batch);
    const waiting = this.#waiting.get(reply.id!);
    this.#waiting.delete(reply.id!);
    if (reply.code === undefined) waiting?.resolve(reply.result);
    else waiting?.reject(new Fault(reply.code, reply.code));
  }
}
