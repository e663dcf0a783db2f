import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import {
  LOG_BURST_BYTES,
  LOG_DRAIN_MAX_MS,
  LOG_FILE_MAX_BYTES,
  LOG_FILES_MAX,
  LOG_LINE_MAX_BYTES,
  LOG_RATE_BYTES_PER_SECOND,
} from '../limits.ts';
import { LogFile } from './log-file.ts';
import { LineFramer, type LogStream, logTime } from './log-line.ts';

export const STDOUT_PIPE = 'stdout';
export const STDERR_PIPE = 'stderr';

interface LogDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Where the output of a container comes from; with a terminal all of it is standard output. */
export type LogOutputs = { readonly stdout: Readable } & { readonly [name in LogStream]?: Readable };

/**
 * Reads a container's output into its log file: two named pipes, or a terminal.
 *
 * Named pipes and not our own: the container holds them open itself (read and write), so it does not die when
 * we do, and the next kubelet reads on where we stopped; a SIGKILL costs at most the chunk just read. Reading stops while a write to the file is
 * under way and while the container is over its rate: then the pipe fills (64 KiB) and the container waits in
 * write(2). So its output costs us one chunk of memory, whatever it prints.
 */
export class ContainerLog {
  readonly #deps: LogDeps;
  readonly #file: LogFile;
  readonly #readers: readonly { readonly stream: LogStream; readonly socket: Readable }[];
  readonly #done: Promise<unknown>;
  readonly #listeners = new Set<() => void>();
  readonly #taps = new Set<(stream: LogStream, chunk: Buffer) => void>();
  #writing: Promise<void> = Promise.resolve();
  #budgetBytes = LOG_BURST_BYTES;
  #budgetAtMs: number;
  #lostLines = 0;
  #ended = false;

  private constructor(deps: LogDeps, file: LogFile, outputs: LogOutputs) {
    this.#deps = deps;
    this.#file = file;
    this.#budgetAtMs = deps.clock.monotonicMs();
    const { stdout, stderr } = outputs;
    this.#readers = [
      { stream: 'stdout', socket: stdout },
      ...(stderr ? [{ stream: 'stderr', socket: stderr } as const] : []),
    ];
    this.#done = Promise.all(this.#readers.map(({ stream, socket }) => this.#read(stream, socket)));
  }

  static async open(
    deps: LogDeps,
    options: { path: string; outputs: () => LogOutputs },
  ): Promise<ContainerLog> {
    const file = await LogFile.open(options.path, { maxBytes: LOG_FILE_MAX_BYTES, filesMax: LOG_FILES_MAX });
    return new ContainerLog(deps, file, options.outputs());
  }

  get path(): string {
    return this.#file.path;
  }

  /** True once nothing more will be written. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Calls back after each write and at the end. */
  onGrowth(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Hands over the raw output from now on (attach). A slow taker is the taker's own matter. */
  tap(listener: (stream: LogStream, chunk: Buffer) => void): Disposable {
    this.#taps.add(listener);
    return { [Symbol.dispose]: () => void this.#taps.delete(listener) };
  }

  /** Reads what is left after the container's end, then closes the file. */
  async finish(): Promise<void> {
    const timer = this.#deps.clock.setTimer(LOG_DRAIN_MAX_MS, () => this.#cut());
    await this.#done;
    timer[Symbol.dispose]();
    await this.#close();
  }

  /** Stops reading without an end: the container goes on and the next kubelet reads on. */
  async release(): Promise<void> {
    this.#cut();
    await this.#done;
    await this.#close();
  }

  async #close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#lostLines > 0)
      this.#deps.log.warn('log writes failed', { path: this.path, count: this.#lostLines });
    await this.#file[Symbol.asyncDispose]();
    for (const listener of this.#listeners) listener();
  }

  #cut(): void {
    for (const { socket } of this.#readers) socket.destroy();
  }

  async #read(stream: LogStream, socket: Readable): Promise<void> {
    const framer = new LineFramer(stream, LOG_LINE_MAX_BYTES);
    try {
      for await (const chunk of socket) {
        for (const tap of this.#taps) tap(stream, chunk as Buffer);
        await this.#write(framer.push(chunk as Buffer, logTime(this.#deps.clock.nowMs())));
        await this.#pace();
      }
    } catch (error) {
      // A destroyed reader (release, drain limit) ends here too: what was read so far is kept.
      if (!socket.destroyed) this.#deps.log.warn('log pipe failed', { reason: messageOf(error) });
    }
    await this.#write(framer.end(logTime(this.#deps.clock.nowMs())));
  }

  /** One write at a time over both streams. */
  #write(bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return this.#writing;
    this.#budgetBytes -= bytes.length;
    this.#writing = this.#writing.then(async () => {
      try {
        await this.#file.append(bytes);
      } catch (error) {
        if (this.#lostLines++ === 0) {
          this.#deps.log.error('log write failed', { path: this.path, reason: messageOf(error) });
        }
      }
      for (const listener of this.#listeners) listener();
    });
    return this.#writing;
  }

  /** Waits until the container is within its rate again. */
  async #pace(): Promise<void> {
    const now = this.#deps.clock.monotonicMs();
    const earned = ((now - this.#budgetAtMs) / 1000) * LOG_RATE_BYTES_PER_SECOND;
    this.#budgetAtMs = now;
    this.#budgetBytes = Math.min(LOG_BURST_BYTES, this.#budgetBytes + earned);
    if (this.#budgetBytes >= 0 || this.#ended) return;
    const waitMs = (-this.#budgetBytes / LOG_RATE_BYTES_PER_SECOND) * 1000;
    await new Promise<void>((resolve) => this.#deps.clock.setTimer(waitMs, resolve));
  }
}

/** The pipes must stand in attemptFolder; whoever writes may come before or after. */
export function pipeOutputs(attemptFolder: string): LogOutputs {
  return {
    stdout: openPipe(join(attemptFolder, STDOUT_PIPE)),
    stderr: openPipe(join(attemptFolder, STDERR_PIPE)),
  };
}

/** Non-blocking, so that reading uses epoll and no thread. */
function openPipe(path: string): Readable {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false });
}
