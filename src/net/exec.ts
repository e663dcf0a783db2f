import { spawn } from 'node:child_process';
import { Fault } from '../base/fault.ts';

export interface ExecOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
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
 * Resolves with any exit code; rejects with Fault EXEC_NOT_FOUND when the program is missing, EXEC_TIMEOUT or
 * EXEC_ABORTED when it was killed, EXEC_FAILED for other faults of starting it.
 */
export const exec: Exec = (program, args, options = {}) =>
  new Promise((resolve, reject) => {
    const timeoutMs = options.timeoutMs ?? DEFAULT_EXEC_TIMEOUT_MS;
    const child = spawn(program, [...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.env && { env: options.env }),
      ...(options.cwd && { cwd: options.cwd }),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let killedBy: string | undefined;
    const kill = (code: string): void => {
      killedBy = code;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => kill('EXEC_TIMEOUT'), timeoutMs);
    const onAbort = (): void => kill('EXEC_ABORTED');
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const cleanup = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    };
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => {}); // the program may exit without reading its input; its exit code tells
    child.on('error', (cause) => {
      cleanup();
      const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
      const message = missing ? `${program} is not installed` : `${program}: ${cause.message}`;
      reject(new Fault(missing ? 'EXEC_NOT_FOUND' : 'EXEC_FAILED', message, { cause }));
    });
    child.on('close', (code) => {
      cleanup();
      if (killedBy)
        return reject(new Fault(killedBy, `${program} ${args.join(' ')} was killed (${killedBy})`));
      resolve({
        exitCode: code ?? 1,
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
      });
    });
    child.stdin.end(options.input ?? '');
    if (options.signal?.aborted) onAbort();
  });
