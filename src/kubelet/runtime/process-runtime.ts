import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Exec } from '../../net/exec.ts';
import { signalProcess, startProcess } from '../../net/process.ts';
import { openPty, type Terminal } from '../../net/pty.ts';
import { KILL_ROUND_MS, KILL_ROUNDS_MAX } from '../limits.ts';
import {
  ContainerLog,
  type LogOutputs,
  pipeOutputs,
  STDERR_PIPE,
  STDOUT_PIPE,
} from '../logs/container-log.ts';
import {
  adoptPipeInput,
  adoptTerminal,
  INPUT_PIPES,
  type InputMode,
  pipeStreams,
  type StandardStreams,
  terminalInput,
  terminalStreams,
} from './container-input.ts';
import { ContainerProcess } from './container-process.ts';
import {
  type ContainerKey,
  freshFolder,
  type PodFolders,
  type ProcessRecord,
  readExitCode,
  readJson,
  RECORD_FILE,
  writeJson,
} from './container-record.ts';
import { findExecutable } from './executable.ts';
import { onTerminal, TERMINAL_SIZE } from './on-terminal.ts';
import { isRunning, ProcessTable, readBootId, readStat } from './process-table.ts';
import { SHELL, supervisorArguments, throughShell } from './supervisor.ts';

/** Everything that decides how a container's command runs. */
export interface LaunchPlan {
  readonly key: ContainerKey;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly input: InputMode;
  /** -1000 (never) to 1000 (first), proc_pid_oom_score_adj(5). */
  readonly oomScoreAdjust: number;
}

interface RuntimeDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
}

/** The environment variable that says which kubelet started a process, for which container and which run. */
export const MARKER_NAME = 'WEFT_CONTAINER';

/** Runs containers as processes of the host, each in a session of its own. */
export class ProcessRuntime {
  readonly table: ProcessTable;
  readonly folders: PodFolders;
  readonly #deps: RuntimeDeps;
  readonly #kubeletId: string;
  readonly #bootId = readBootId();

  constructor(deps: RuntimeDeps, options: { readonly folders: PodFolders; readonly kubeletId: string }) {
    this.#deps = deps;
    this.folders = options.folders;
    this.#kubeletId = options.kubeletId;
    this.table = new ProcessTable(deps, { markerName: MARKER_NAME });
  }

  markerOf(key: ContainerKey): string {
    return `${this.#kubeletId}/${key.podUid}/${key.container}/${key.attempt}`;
  }

  /**
   * Rejects with Fault EXECUTABLE_NOT_FOUND when the first word names no program, PROCESS_START when the host
   * refuses to start it.
   */
  async launch(plan: LaunchPlan): Promise<ContainerProcess> {
    const program = findExecutable(plan.argv[0] ?? '', plan.env.PATH ?? '', plan.cwd);
    if (!program) {
      const text = `exec: "${plan.argv[0] ?? ''}": executable file not found in $PATH`;
      throw new Fault('EXECUTABLE_NOT_FOUND', text);
    }
    const folder = this.folders.attempt(plan.key);
    freshFolder(folder);
    const pty = plan.input === 'terminal' ? openPty(TERMINAL_SIZE) : undefined;
    if (!pty) await this.#makePipes(folder, plan);
    const streams = pty ? terminalStreams(pty, plan) : pipeStreams(folder, plan.input);
    let output: ContainerLog | undefined;
    try {
      output = await this.#openLog(plan.key, pty ?? folder);
      return await this.#start(plan, program, folder, { output, streams });
    } catch (error) {
      streams.input?.close();
      await output?.release();
      throw error;
    } finally {
      streams.closeTheirs();
    }
  }

  /** The container of an earlier kubelet, when its supervisor still runs (pid, start time and marker agree). */
  async adopt(key: ContainerKey): Promise<ContainerProcess | undefined> {
    const attemptFolder = this.folders.attempt(key);
    const record = readJson(join(attemptFolder, RECORD_FILE)) as ProcessRecord | undefined;
    if (!record || record.bootId !== this.#bootId) return undefined;
    if (!isRunning(record.pid, record.startTicks)) return undefined;
    const stat = readStat(record.pid);
    const marker = this.markerOf(key);
    if (!stat || this.table.markerOf(stat) !== marker) return undefined;
    const { input: mode = 'none' } = record;
    const terminal = mode === 'terminal' ? adoptTerminal(record.pid) : undefined;
    const output = await this.#openLog(key, terminal ?? attemptFolder);
    const input = terminal ? terminalInput(terminal) : adoptPipeInput(attemptFolder, mode);
    return new ContainerProcess(this.#processDeps, { record, marker, attemptFolder, output, input });
  }

  /** How an earlier kubelet's container ended while nobody watched; undefined when it left no word. */
  recordedExit(key: ContainerKey): number | undefined {
    return readExitCode(this.folders.attempt(key));
  }

  /** Uids of the pods that have a process of this kubelet (any of its lives). */
  runningPods(): ReadonlySet<string> {
    const prefix = `${this.#kubeletId}/`;
    const markers = this.table.list(true).map((stat) => this.table.markerOf(stat) ?? '');
    return new Set(markers.filter((one) => one.startsWith(prefix)).map((one) => one.split('/')[1] ?? ''));
  }

  /**
   * Ends all processes this kubelet (any of its lives) started, except for containers the caller keeps.
   * @param keep is asked with the pod's uid and the whole marker
   */
  async reap(keep: (podUid: string, marker: string) => boolean): Promise<number> {
    const seen = new Set<number>();
    for (let round = 0; round < KILL_ROUNDS_MAX; round++) {
      const strays = this.table.list(true).filter((stat) => {
        const marker = this.table.markerOf(stat);
        if (!marker?.startsWith(`${this.#kubeletId}/`)) return false;
        return !keep(marker.split('/')[1] ?? '', marker);
      });
      if (strays.length === 0) break;
      for (const stat of strays) {
        seen.add(stat.pid);
        signalProcess(stat.pid, 'SIGKILL');
      }
      await new Promise<void>((resolve) => this.#deps.clock.setTimer(KILL_ROUND_MS, resolve));
    }
    return seen.size;
  }

  async #start(
    plan: LaunchPlan,
    program: string,
    attemptFolder: string,
    { output, streams }: { readonly output: ContainerLog; readonly streams: StandardStreams },
  ): Promise<ContainerProcess> {
    const marker = this.markerOf(plan.key);
    const { argv, env } = throughShell([program, ...plan.argv.slice(1)], plan.env);
    const args = supervisorArguments({ ...plan, attemptFolder, argv });
    const child = await startProcess({
      ...(plan.input === 'terminal' ? onTerminal(SHELL, args) : { program: SHELL, args }),
      env: { ...env, [MARKER_NAME]: marker },
      cwd: plan.cwd,
      stdio: streams.stdio,
      ...(plan.uid !== undefined && { uid: plan.uid }),
      ...(plan.gid !== undefined && { gid: plan.gid }),
    });
    const record = this.#record(child.pid, plan.input);
    writeJson(join(attemptFolder, RECORD_FILE), record);
    const supervisorExit = child.exited;
    child.unref();
    const { input } = streams;
    return new ContainerProcess(this.#processDeps, {
      record,
      marker,
      attemptFolder,
      output,
      input,
      supervisorExit,
    });
  }

  get #processDeps(): ConstructorParameters<typeof ContainerProcess>[0] {
    return { clock: this.#deps.clock, log: this.#deps.log, table: this.table };
  }

  #record(pid: number, input: InputMode): ProcessRecord {
    return {
      pid,
      startTicks: readStat(pid)?.startTicks ?? -1,
      bootId: this.#bootId,
      startedAtMs: this.#deps.clock.nowMs(),
      containerId: `weft://${randomBytes(32).toString('hex')}`,
      ...(input !== 'none' && { input }),
    };
  }

  async #makePipes(folder: string, plan: LaunchPlan): Promise<void> {
    const pipes = [...INPUT_PIPES[plan.input], STDOUT_PIPE, STDERR_PIPE].map((name) => join(folder, name));
    const made = await this.#deps.exec('mkfifo', ['-m', '600', ...pipes]);
    if (made.exitCode !== 0) throw new Fault('PROCESS_START', made.stderr.trim());
    if (plan.uid === undefined) return;
    for (const path of [folder, ...pipes]) chownSync(path, plan.uid, plan.gid ?? plan.uid);
  }

  #openLog(key: ContainerKey, source: Terminal | string): Promise<ContainerLog> {
    const path = this.folders.log(key);
    mkdirSync(join(path, '..'), { recursive: true });
    const outputs = (): LogOutputs =>
      typeof source === 'string' ? pipeOutputs(source) : { stdout: source.output };
    return ContainerLog.open(this.#deps, { path, outputs });
  }
}
