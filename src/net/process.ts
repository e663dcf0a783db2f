import { spawn } from 'node:child_process';
import { kill } from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { Fault } from '../base/fault.ts';

/** What a process reads or writes through: nothing, a stream of ours, or an open file descriptor. */
export type ProcessStdio = 'ignore' | 'pipe' | number;

export interface ProcessOptions {
  readonly program: string;
  readonly args: readonly string[];
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Descriptors 0, 1, 2 and, where there are more, 3 and on. */
  readonly stdio: readonly [ProcessStdio, ProcessStdio, ProcessStdio, ...number[]];
  /** Only root may choose these. */
  readonly uid?: number;
  readonly gid?: number;
  /** False when the program makes its own session, as setsid(1) does. Default true. */
  readonly ownSession?: boolean;
}

export interface ProcessExit {
  readonly exitCode: number | undefined;
  /** For example SIGKILL. */
  readonly signal: string | undefined;
}

/** A process that leads a session of its own, so that it outlives its starter and no terminal of ours signals it. */
export interface HostProcess {
  readonly pid: number;
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  readonly exited: Promise<ProcessExit>;
  /** Lets our own event loop end while the process goes on. */
  unref(): void;
}

/** Rejects with Fault PROCESS_START when the program cannot be started; the cause has the errno code. */
export function startProcess(options: ProcessOptions): Promise<HostProcess> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new Fault('PROCESS_START', `${options.program}: ${cause.message}`, { cause }));
    let child: ReturnType<typeof spawn>;
    try {
      child = spawn(options.program, [...options.args], {
        env: options.env,
        cwd: options.cwd,
        stdio: [...options.stdio],
        detached: options.ownSession ?? true,
        ...(options.uid !== undefined && { uid: options.uid }),
        ...(options.gid !== undefined && { gid: options.gid }),
      });
    } catch (cause) {
      return fail(cause as Error); // for example E2BIG or EAGAIN: spawn throws these
    }
    const exited = new Promise<ProcessExit>((done) => {
      child.once('exit', (code, signal) =>
        done({ exitCode: code ?? undefined, signal: signal ?? undefined }),
      );
    });
    child.once('error', fail);
    child.once('spawn', () =>
      resolve({
        pid: child.pid ?? 0,
        stdin: child.stdin ?? undefined,
        stdout: child.stdout ?? undefined,
        stderr: child.stderr ?? undefined,
        exited,
        unref: () => child.unref(),
      }),
    );
  });
}

/** False when there is no such process or it is not ours to signal. Never signals groups (pid must be positive). */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  try {
    return kill(pid, signal);
  } catch {
    return false; // ESRCH or EPERM: the caller looks again at /proc, which tells the truth
  }
}
