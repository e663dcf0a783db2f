import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { type Clock, systemClock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';

export interface ExecOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly outputMaxBytes?: number;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end without a shell. Injected as a collaborator so tests can watch what is run. */
export type Exec = (program: string, args: readonly string[], options?: ExecOptions) => Promise<ExecResult>;

export const DEFAULT_EXEC_TIMEOUT_MS = 60_000;

/**
 * Standard output and standard error together; a program that writes more is killed (EXEC_OUTPUT). The largest that is
 * ours to read is a dump of kernel rules: some 100 MB for 100,000 services.
 */
export const DEFAULT_EXEC_OUTPUT_MAX_BYTES = 256 * 1024 * 1024;

/**
 * Resolves with any exit code; rejects with Fault EXEC_NOT_FOUND when the program is missing, EXEC_TIMEOUT,
 * EXEC_OUTPUT or EXEC_ABORTED when it was killed, EXEC_FAILED for other faults of starting it.
 */
export const exec: Exec = execBy(systemClock);

/** The same, with time limits by another clock. */
export function execBy(clock: Clock): Exec {
  return (program, args, options = {}) =>
    new Promise((resolve, reject) => {
      const {
        timeoutMs = DEFAULT_EXEC_TIMEOUT_MS,
        outputMaxBytes = DEFAULT_EXEC_OUTPUT_MAX_BYTES,
        signal,
      } = options;
      const child = spawn(program, [...args], {
        stdio: ['pipe', 'pipe', 'pipe'],
        ...(options.env && { env: options.env }),
        ...(options.cwd && { cwd: options.cwd }),
      });
      let killedBy: string | undefined;
      const kill = (code: string): void => {
        killedBy ??= code;
        child.kill('SIGKILL');
      };
      const timer = clock.setTimer(timeoutMs, () => kill('EXEC_TIMEOUT'));
      const onAbort = (): void => kill('EXEC_ABORTED');
      signal?.addEventListener('abort', onAbort, { once: true });
      const cleanup = (): void => {
        timer[Symbol.dispose]();
        signal?.removeEventListener('abort', onAbort);
      };
      let leftBytes = outputMaxBytes;
      const gather = (from: Readable): Buffer[] => {
        const chunks: Buffer[] = [];
        from.on('data', (chunk: Buffer) => {
          leftBytes -= chunk.length;
          if (leftBytes < 0) kill('EXEC_OUTPUT');
          else chunks.push(chunk);
        });
        return chunks;
      };
      const out = gather(child.stdout);
      const err = gather(child.stderr);
      child.stdin.on('error', () => {}); // the program may exit without reading its input; its exit code tells
      child.on('error', (cause) => {
        cleanup();
        reject(notStarted(program, cause));
      });
      child.on('close', (code) => {
        cleanup();
        if (killedBy) {
          return reject(new Fault(killedBy, `${program} ${args.join(' ')} was killed (${killedBy})`));
        }
        resolve({
          exitCode: code ?? 1,
          stdout: Buffer.concat(out).toString(),
          stderr: Buffer.concat(err).toString(),
        });
      });
      child.stdin.end(options.input ?? '');
      if (signal?.aborted) onAbort();
    });
}

function notStarted(program: string, cause: NodeJS.ErrnoException): Fault {
  if (cause.code === 'ENOENT') return new Fault('EXEC_NOT_FOUND', `${program} is not installed`, { cause });
  return new Fault('EXEC_FAILED', `${program}: ${cause.message}`, { cause });
}
