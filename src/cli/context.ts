import type { Command } from 'commander';
import type { Logger } from '../base/log.ts';

/** What a command gets from the process. Only the cli touches `process`; everything below is handed these. */
export interface CliContext {
  readonly stdout: { write(text: string): void; readonly isTTY: boolean; readonly columns: number };
  readonly stderr: { write(text: string): void; readonly isTTY: boolean };
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  /** Aborted on the first SIGINT or SIGTERM: drain and return. A second one ends the process at once. */
  readonly stop: AbortSignal;
  /** Calls back on each SIGHUP (reload). */
  onReload(callback: () => void): Disposable;
}

/** Exit codes (sysexits): 0 done, 1 run-time failure, 64 bad usage or configuration. */
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 64;

/** Thrown by commands to end with this code after printing the message to stderr. */
export class ExitError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = 'ExitError';
    this.exitCode = exitCode;
  }
}

/** Each command file exports one of these and adds its commands to the program. */
export type RegisterCommand = (program: Command, context: CliContext) => void;
