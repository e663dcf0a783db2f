import { readlinkSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { Fault } from '../../base/fault.ts';
import { type HostProcess, type ProcessStdio, signalProcess, startProcess } from '../../net/process.ts';
import { PROBE_OUTPUT_MAX_BYTES } from '../limits.ts';
import type { ContainerProcess } from './container-process.ts';
import { findExecutable } from './executable.ts';
import { onTerminal } from './on-terminal.ts';
import { type ProcessTable, readEnvironment } from './process-table.ts';

/** How a further command runs beside a container: as its own user, in its environment and working folder. */
export interface ExecContext {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/**
 * Taken from the supervisor, which has them unchanged: so it also works for adopted containers, and secrets
 * are not kept on disk. Rejects (throws) with Fault CONTAINER_NOT_RUNNING when it ended.
 */
export function execContext(container: ContainerProcess): ExecContext {
  const { pid } = container.record;
  const env = readEnvironment(pid);
  try {
    const cwd = readlinkSync(`/proc/${pid}/cwd`);
    const owner = statSync(`/proc/${pid}`);
    if (!env) throw new Error('no environment');
    const other = owner.uid !== 0;
    return { env, cwd, uid: other ? owner.uid : undefined, gid: other ? owner.gid : undefined };
  } catch (cause) {
    throw new Fault('CONTAINER_NOT_RUNNING', 'container is not running', { cause });
  }
}

/** Rejects with Fault EXECUTABLE_NOT_FOUND or PROCESS_START. The marker in env ties it to the container's end. */
export function startExec(
  context: ExecContext,
  options: {
    readonly argv: readonly string[];
    readonly stdio: readonly [ProcessStdio, ProcessStdio, ProcessStdio];
    readonly kubeletUid: number;
    /** Descriptor 0 is a terminal that becomes the command's own. */
    readonly terminal?: boolean;
  },
): Promise<HostProcess> {
  const [name = '', ...args] = options.argv;
  const program = findExecutable(name, context.env.PATH ?? '', context.cwd);
  if (!program) {
    throw new Fault('EXECUTABLE_NOT_FOUND', `exec: "${name}": executable file not found in $PATH`);
  }
  const mayChoose = options.kubeletUid === 0;
  return startProcess({
    ...(options.terminal ? onTerminal(program, args) : { program, args }),
    env: context.env,
    cwd: context.cwd,
    stdio: options.stdio,
    ...(mayChoose && context.uid !== undefined && { uid: context.uid }),
    ...(mayChoose && context.gid !== undefined && { gid: context.gid }),
  });
}

/** SIGKILL to the command and all of its session. */
export function killExec(table: ProcessTable, pid: number): void {
  for (const stat of table.list(true)) {
    if (stat.session === pid) signalProcess(stat.pid, 'SIGKILL');
  }
}

/** Runs a command to its end; output beyond the limit is read and dropped. Killed when the signal aborts. */
export async function runExec(
  deps: { readonly table: ProcessTable; readonly kubeletUid: number },
  process: ContainerProcess,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const child = await startExec(execContext(process), {
    argv,
    stdio: ['ignore', 'pipe', 'pipe'],
    kubeletUid: deps.kubeletUid,
  });
  let ended = false;
  const kill = (): void => {
    if (!ended) killExec(deps.table, child.pid);
  };
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  const chunks: Buffer[] = [];
  collect(child.stdout, chunks);
  collect(child.stderr, chunks);
  const exit = await child.exited;
  ended = true;
  signal.removeEventListener('abort', kill);
  return {
    exitCode: exit.exitCode ?? 137,
    output: Buffer.concat(chunks).subarray(0, PROBE_OUTPUT_MAX_BYTES).toString(),
  };
}

function collect(stream: Readable | undefined, chunks: Buffer[]): void {
  stream?.on('data', (chunk: Buffer) => {
    const heldBytes = chunks.reduce((sum, one) => sum + one.length, 0);
    if (heldBytes < PROBE_OUTPUT_MAX_BYTES) chunks.push(chunk);
  });
  stream?.on('error', () => {}); // the exit tells
}
