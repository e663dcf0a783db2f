import { watch } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { signalProcess } from '../../net/process.ts';
import { ADOPTED_POLL_MS, KILL_ROUND_MS, KILL_ROUNDS_MAX, SUPERVISOR_GRACE_MS } from '../limits.ts';
import type { ContainerLog } from '../logs/container-log.ts';
import type { ContainerInput } from './container-input.ts';
import { type ProcessRecord, readExitCode } from './container-record.ts';
import { isRunning, type ProcessTable, type SessionClaim, ticksNow } from './process-table.ts';

export interface ContainerExit {
  /** 128 + signal number when a signal ended it; 137 when its end was not seen. */
  readonly exitCode: number;
  readonly finishedAtMs: number;
  /** False when the process ended while nobody watched and left no code: ContainerStatusUnknown. */
  readonly known: boolean;
}

/** The code of a run whose end nobody saw: as if SIGKILL had ended it. */
export const EXIT_UNKNOWN = 137;

interface ProcessDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly table: ProcessTable;
}

/**
 * A running container: a supervisor shell that leads the session, below it the command (the container's
 * PID 1 in Kubernetes' words), below that whatever it starts.
 */
export class ContainerProcess {
  readonly record: ProcessRecord;
  readonly marker: string;
  readonly attemptFolder: string;
  readonly output: ContainerLog;
  /** Undefined when there is none, or none any more. */
  readonly input: ContainerInput | undefined;
  /** Resolves once nothing of the container is left and its log is complete. */
  readonly exited: Promise<ContainerExit>;
  readonly #deps: ProcessDeps;
  #untilTicks = Number.POSITIVE_INFINITY;
  #unwatch: (() => void) | undefined;

  constructor(
    deps: ProcessDeps,
    options: {
      readonly record: ProcessRecord;
      readonly marker: string;
      readonly attemptFolder: string;
      readonly output: ContainerLog;
      readonly input: ContainerInput | undefined;
      /** Resolves with the supervisor's end; absent for an adopted one, which is watched through files. */
      readonly supervisorExit?: Promise<unknown>;
    },
  ) {
    this.#deps = deps;
    this.record = options.record;
    this.marker = options.marker;
    this.attemptFolder = options.attemptFolder;
    this.output = options.output;
    this.input = options.input;
    this.exited = this.#finish(options.supervisorExit ?? this.#watchedEnd());
  }

  /** The command's own pid: the supervisor's one child. Undefined before it started and after it ended. */
  get mainPid(): number | undefined {
    const children = this.#deps.table.list(true).filter((stat) => stat.parentPid === this.record.pid);
    return children[0]?.pid;
  }

  /** Asks the command to stop: the signal goes to it alone, as to a container's PID 1. */
  signal(signal: NodeJS.Signals): boolean {
    const pid = this.mainPid;
    return pid !== undefined && signalProcess(pid, signal);
  }

  /** Ends every process of the container. The supervisor goes last: it writes down the command's end. */
  async kill(): Promise<void> {
    await this.#killMembers(true);
    const late = this.#deps.clock.setTimer(SUPERVISOR_GRACE_MS, () => {
      if (isRunning(this.record.pid, this.record.startTicks)) signalProcess(this.record.pid, 'SIGKILL');
    });
    await this.exited;
    late[Symbol.dispose]();
  }

  /** Stops watching; the container goes on without us. */
  release(): void {
    this.#unwatch?.();
    this.input?.close();
  }

  async #finish(supervisorEnd: Promise<unknown>): Promise<ContainerExit> {
    await supervisorEnd;
    const finishedAtMs = this.#deps.clock.nowMs();
    this.#untilTicks = ticksNow();
    await this.#killMembers(false);
    await this.output.finish();
    this.input?.close();
    const code = readExitCode(this.attemptFolder);
    return { exitCode: code ?? EXIT_UNKNOWN, finishedAtMs, known: code !== undefined };
  }

  /** A fork bomb is first stopped, then killed: what is stopped forks no more. */
  async #killMembers(spareSupervisor: boolean): Promise<void> {
    const session: SessionClaim = { id: this.record.pid, untilTicks: this.#untilTicks };
    for (let round = 0; round < KILL_ROUNDS_MAX; round++) {
      const members = this.#deps.table
        .membersOf(this.marker, session, true)
        .filter((stat) => !(spareSupervisor && stat.pid === this.record.pid));
      if (members.length === 0) return;
      if (members.length > 1) for (const stat of members) signalProcess(stat.pid, 'SIGSTOP');
      for (const stat of members) signalProcess(stat.pid, 'SIGKILL');
      await new Promise<void>((resolve) => this.#deps.clock.setTimer(KILL_ROUND_MS, resolve));
    }
    this.#deps.log.error('processes survive sigkill', { marker: this.marker });
  }

  /** The end of a process that is not our child: its exit file, or its absence from /proc. */
  #watchedEnd(): Promise<void> {
    return new Promise((resolve) => {
      let timer: Disposable | undefined;
      const ended = (): boolean => !isRunning(this.record.pid, this.record.startTicks);
      const look = (): void => {
        timer?.[Symbol.dispose]();
        if (ended()) {
          this.#unwatch?.();
          resolve();
          return;
        }
        const soon = readExitCode(this.attemptFolder) !== undefined;
        timer = this.#deps.clock.setTimer(soon ? KILL_ROUND_MS : ADOPTED_POLL_MS, look);
      };
      const watcher = watch(this.attemptFolder, look);
      watcher.on('error', () => watcher.close()); // the poll goes on
      this.#unwatch = () => {
        watcher.close();
        timer?.[Symbol.dispose]();
      };
      look();
    });
  }
}
