import type { Clock } from '../../base/clock.ts';
import { sleep } from '../../base/clock.ts';
import { Fault, messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { secondTime } from '../../api/kinds/lease.ts';
import type { Container, ContainerState, ContainerStatus } from '../../api/kinds/pod.ts';
import { ContainerEnding } from './container-ending.ts';
import { ContainerHistory, type Probed } from './container-history.ts';
import { ContainerProbes, type ContainerProbesDeps } from './container-probes.ts';
import { CREATE_RETRY_MS } from '../limits.ts';
import { type ContainerRole, formatDelay, type RestartPolicy, shouldRestart } from './restart-policy.ts';
import { type ContainerExit, type ContainerProcess, EXIT_UNKNOWN } from '../runtime/container-process.ts';
import type { ContainerKey } from '../runtime/container-record.ts';
import type { LaunchPlan, ProcessRuntime } from '../runtime/process-runtime.ts';
import { terminatedState } from './terminated-state.ts';

export interface ContainerWorkerDeps extends ContainerProbesDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly runtime: ProcessRuntime;
  plan(container: Container, attempt: number): Promise<LaunchPlan>;
  terminationLog(container: Container, attempt: number): string;
  /** Something kubectl would show changed. */
  onChange(): void;
  event(type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export interface ContainerWorkerOptions {
  readonly podUid: string;
  /** `pod_namespace(uid)`, for messages. */
  readonly podText: string;
  readonly container: Container;
  readonly role: ContainerRole;
  readonly restartPolicy: RestartPolicy;
  readonly graceMs: number;
  /** False for an init container of a pod that starts anew: what it did before counts no more. */
  readonly resume: boolean;
}

const UNPROBED: Probed = { ready: false, started: false };

/** Keeps one container of a pod as its restart policy wants it, from the first start until it is stopped. */
export class ContainerWorker {
  readonly name: string;
  /** Resolves when it ended for good: true when it succeeded. */
  readonly done: Promise<boolean>;
  /** Resolves when it has started as its startup probe sees it (or ended). */
  readonly hasStarted: Promise<void>;
  readonly #deps: ContainerWorkerDeps;
  readonly #options: ContainerWorkerOptions;
  readonly #abort = new AbortController();
  readonly #history: ContainerHistory;
  #container: Container;
  #process: ContainerProcess | undefined;
  #probes: ContainerProbes | undefined;
  #containerId: string | undefined;
  #ending: ContainerEnding | undefined;
  #released = false;
  #restartAsked = false;
  #announceStart: () => void = () => {};

  constructor(deps: ContainerWorkerDeps, options: ContainerWorkerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#container = options.container;
    this.name = options.container.name;
    const folder = deps.runtime.folders.container(options.podUid, this.name);
    this.#history = new ContainerHistory(folder, () => this.#probes ?? UNPROBED);
    this.hasStarted = new Promise((resolve) => (this.#announceStart = resolve));
    this.done = this.#run().finally(this.#announceStart);
  }

  get process(): ContainerProcess | undefined {
    return this.#process;
  }

  get container(): Container {
    return this.#container;
  }

  get status(): ContainerStatus {
    const { state, lastState, attempt } = this.#history;
    const { ready, started } = (state.running && this.#probes) ?? UNPROBED;
    return {
      name: this.name,
      image: this.#container.image ?? '',
      imageID: '',
      ready: ready || (this.#options.role === 'init' && state.terminated?.exitCode === 0),
      started,
      restartCount: Math.max(0, attempt),
      ...(this.#containerId && { containerID: this.#containerId }),
      state,
      lastState: lastState ?? {},
    };
  }

  /** Where the log of the present (or last) run lies; `previous` = the run before. */
  logKey(previous: boolean): ContainerKey | undefined {
    const attempt = this.#history.attempt - (previous ? 1 : 0);
    return attempt < 0 ? undefined : this.#key(attempt);
  }

  /** Another image means another run; nothing else of a container can change. */
  update(container: Container): void {
    const changed = container.image !== this.#container.image;
    this.#container = container;
    if (!changed || !this.#process) return;
    this.#restartAsked = true;
    this.#deps.event('Normal', 'Killing', `Container ${this.name} definition changed, will be restarted`);
    void this.#end(this.#options.graceMs);
  }

  /** preStop, SIGTERM, and after graceMs SIGKILL to everything it started. Resolves when nothing is left. */
  async stop(graceMs: number): Promise<void> {
    const first = !this.#abort.signal.aborted;
    this.#abort.abort(new Error('container stopped'));
    if (this.#process) {
      if (first) this.#deps.event('Normal', 'Killing', `Stopping container ${this.name}`);
      await this.#end(graceMs);
    }
    await this.done;
  }

  /** Leaves the process running and stops keeping it. */
  async release(): Promise<void> {
    this.#released = true;
    this.#history.freeze();
    this.#abort.abort(new Error('kubelet stopped'));
    this.#probes?.[Symbol.dispose]();
    this.#process?.release();
    await this.#process?.output.release();
  }

  async #run(): Promise<boolean> {
    let live = this.#options.resume ? await this.#takeOver() : undefined;
    const before = live ? undefined : this.#history.state.terminated;
    if (before && !this.#wantsRestart(before.exitCode)) return before.exitCode === 0;
    while (!this.#abort.signal.aborted) {
      live ??= await this.#launch();
      if (!live) {
        await this.#pause(CREATE_RETRY_MS);
        continue;
      }
      const exit = await this.#live(live);
      live = undefined;
      if (!this.#wantsRestart(exit.exitCode)) return exit.exitCode === 0;
      await this.#backOff();
    }
    return this.#history.state.terminated?.exitCode === 0;
  }

  #wantsRestart(exitCode: number): boolean {
    return this.#restartAsked || shouldRestart(this.#options.role, this.#options.restartPolicy, exitCode);
  }

  /** Goes on where the last kubelet was: finds the process again or what became of it. */
  async #takeOver(): Promise<ContainerProcess | undefined> {
    const memory = this.#history.resume();
    if (!memory?.state.running) return undefined;
    const key = this.#key();
    const live = await this.#adopt(key);
    if (live) {
      this.#containerId = live.record.containerId;
      this.#probes = this.#newProbes(live, memory);
      return live;
    }
    const code = this.#deps.runtime.recordedExit(key);
    const finishedAtMs = this.#deps.clock.nowMs();
    const exit = { exitCode: code ?? EXIT_UNKNOWN, finishedAtMs, known: code !== undefined };
    this.#become({ terminated: this.#terminated(exit, memory.state.running.startedAt) });
    return undefined;
  }

  /**
   * A process that runs but cannot be kept (its pipes are gone) is ended: nobody could read it. So is what a container
   * left behind that ended while no kubelet was there to do so.
   */
  async #adopt(key: ContainerKey): Promise<ContainerProcess | undefined> {
    const { runtime, log } = this.#deps;
    const live = await runtime.adopt(key).catch((error: unknown) => {
      log.warn('container not adopted', { container: this.name, error });
      return undefined;
    });
    const mine = runtime.markerOf(key);
    if (!live) await runtime.reap((_podUid, marker) => marker !== mine);
    return live;
  }

  async #launch(): Promise<ContainerProcess | undefined> {
    const attempt = this.#history.attempt + 1;
    try {
      const plan = await this.#deps.plan(this.#container, attempt);
      if (this.#abort.signal.aborted) return undefined;
      const live = await this.#deps.runtime.launch(plan);
      this.#history.begin(attempt);
      this.#restartAsked = false;
      // of ended runs only the last is kept, for `logs --previous`
      if (attempt >= 2) this.#deps.runtime.folders.forget(this.#key(attempt - 2));
      return live;
    } catch (error) {
      this.#createFailed(error);
      return undefined;
    }
  }

  #createFailed(error: unknown): void {
    const code = error instanceof Fault ? error.code : '';
    const reason = CREATE_REASONS[code] ?? 'CreateContainerError';
    if (!CREATE_REASONS[code]) this.#deps.log.warn('container not created', { container: this.name, error });
    this.#deps.event('Warning', 'Failed', `Error: ${messageOf(error)}`);
    this.#become({ waiting: { reason, message: messageOf(error) } });
  }

  /** From the start of a process to its end. */
  async #live(live: ContainerProcess): Promise<ContainerExit> {
    const startedAt = secondTime(live.record.startedAtMs);
    this.#process = live;
    this.#containerId = live.record.containerId;
    this.#probes ??= this.#newProbes(live, undefined);
    const probes = this.#probes;
    this.#become({ running: { startedAt } });
    this.#deps.event('Normal', 'Started', `Started container ${this.name}`);
    if (this.#abort.signal.aborted && !this.#released) void this.#end(this.#options.graceMs);
    void probes.begin();
    const exit = await live.exited;
    probes[Symbol.dispose]();
    if (this.#released) return exit;
    this.#probes = undefined;
    this.#process = undefined;
    this.#ending = undefined;
    this.#history.end(this.#terminated(exit, startedAt), exit.finishedAtMs - live.record.startedAtMs);
    this.#deps.onChange();
    return exit;
  }

  #newProbes(live: ContainerProcess, before: Probed | undefined): ContainerProbes {
    const probes: ContainerProbes = new ContainerProbes(this.#deps, {
      container: this.#container,
      process: live,
      before,
      onChange: () => {
        if (probes.started) this.#announceStart();
        this.#history.save();
        this.#deps.onChange();
      },
      onFatal: (reason, graceSeconds) => {
        this.#deps.event('Normal', 'Killing', `Container ${this.name} ${reason}, will be restarted`);
        const graceMs = graceSeconds === undefined ? this.#options.graceMs : graceSeconds * 1000;
        void this.#end(graceMs);
      },
    });
    return probes;
  }

  /** Ends the present process, once; asked again with less grace (a forced deletion) it is killed sooner. */
  async #end(graceMs: number): Promise<void> {
    const live = this.#process;
    if (!live) return;
    if (this.#ending) this.#ending.hasten(graceMs);
    else {
      this.#ending = new ContainerEnding(this.#deps.clock, {
        process: live,
        signal: (this.#container.lifecycle?.stopSignal ?? 'SIGTERM') as NodeJS.Signals,
        graceMs,
        preStop: async (limitMs) => await this.#probes?.preStop(limitMs),
      });
    }
    await this.#ending.done;
  }

  async #backOff(): Promise<void> {
    const delayMs = this.#restartAsked ? 0 : this.#history.nextDelayMs();
    if (delayMs === 0 || this.#abort.signal.aborted) return;
    const message = `back-off ${formatDelay(delayMs)} restarting failed container=${this.name} pod=${this.#options.podText}`;
    const { terminated } = this.#history.state;
    this.#become({ waiting: { reason: 'CrashLoopBackOff', message } });
    this.#deps.event('Warning', 'BackOff', `Back-off restarting failed container ${this.name}`);
    await this.#pause(delayMs);
    if (this.#abort.signal.aborted && terminated) this.#become({ terminated });
  }

  async #pause(delayMs: number): Promise<void> {
    await sleep(this.#deps.clock, delayMs, this.#abort.signal).catch(() => {}); // stopped: the loop sees it
  }

  #terminated(exit: ContainerExit, startedAt: string | undefined): ReturnType<typeof terminatedState> {
    const key = this.#key();
    return terminatedState({
      container: this.#container,
      exit,
      containerId: this.#containerId,
      startedAt,
      terminationLog: this.#deps.terminationLog(this.#container, key.attempt),
      log: this.#deps.runtime.folders.log(key),
    });
  }

  #become(state: ContainerState): void {
    this.#history.become(state);
    this.#deps.onChange();
  }

  #key(attempt = this.#history.attempt): ContainerKey {
    return { podUid: this.#options.podUid, container: this.name, attempt };
  }
}

/** Waiting reasons by fault code. */
const CREATE_REASONS: Readonly<Record<string, string>> = {
  CONTAINER_CONFIG: 'CreateContainerConfigError',
  IMAGE_NOT_MAPPED: 'ImageNotMapped',
  EXECUTABLE_NOT_FOUND: 'RunContainerError',
  PROCESS_START: 'RunContainerError',
};
