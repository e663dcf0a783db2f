import { closeSync, constants, existsSync, fchownSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { Fault } from '../../base/fault.ts';
import { borrowDescriptor } from '../../net/borrowed-descriptor.ts';
import type { ProcessOptions } from '../../net/process.ts';
import { type Pty, type Terminal, terminalOf } from '../../net/pty.ts';
import type { Container } from '../../api/kinds/pod.ts';
import { INPUT_BACKLOG_MAX_BYTES } from '../limits.ts';
import { STDERR_PIPE, STDOUT_PIPE } from '../logs/container-log.ts';

/**
 * What a container has as its standard input: /dev/null, a pipe that never ends (`stdin`), one that ends with the
 * first client that attached (`stdinOnce`), or a terminal that is its output too (`tty`).
 */
export type InputMode = 'none' | 'pipe' | 'once' | 'terminal';

const STDIN_PIPE = 'stdin';
/** Opened to write, and removed, when an input that is given once has been. */
export const GIVEN_PIPE = 'given';

/** The named pipes that a kind of input needs. */
export const INPUT_PIPES: Readonly<Record<InputMode, readonly string[]>> = {
  none: [],
  terminal: [],
  pipe: [STDIN_PIPE],
  once: [STDIN_PIPE, GIVEN_PIPE],
};

/** Of the supervisor: what keeps the input open while no kubelet runs. */
const HELD_FD = 3;

export function inputMode({ stdin, stdinOnce, tty }: Container): InputMode {
  if (tty) return 'terminal';
  if (!stdin) return 'none';
  return stdinOnce ? 'once' : 'pipe';
}

/** Our end of a container's input. */
export interface ContainerInput {
  readonly mode: InputMode;
  /** Calls back when the container's side has taken it, or with the error that keeps it from doing so. */
  write(chunk: Uint8Array, done: (error?: Error | null) => void): void;
  /** Does nothing without a terminal. */
  resize(columns: number, rows: number): void;
  /** Nothing more comes: the command reads the end of what is given once. Does nothing to other inputs. */
  end(): void;
  /** Lets go of our end: the next kubelet may take it up. */
  close(): void;
}

/** The command's ends of its streams, while it is started, and ours to its input. */
export interface StandardStreams {
  readonly stdio: ProcessOptions['stdio'];
  readonly input: ContainerInput | undefined;
  /** Call once the command has its own copies. */
  closeTheirs(): void;
}

/** Ends in the named pipes of the folder. */
export function pipeStreams(folder: string, mode: InputMode): StandardStreams {
  // Opened to read and write, no end of a named pipe waits for the other.
  const both = (name: string): number => openSync(join(folder, name), constants.O_RDWR);
  const outputs = [both(STDOUT_PIPE), both(STDERR_PIPE)] as const;
  const closeAll = (fds: readonly number[]): void => fds.forEach((fd) => closeSync(fd));
  if (mode === 'none')
    return { stdio: ['ignore', ...outputs], input: undefined, closeTheirs: () => closeAll(outputs) };
  const opener = both(STDIN_PIPE);
  const theirs = openSync(join(folder, STDIN_PIPE), constants.O_RDONLY);
  const ours = openInput(folder);
  closeSync(opener);
  return {
    stdio: [theirs, ...outputs, ours],
    input: pipeInput(mode, folder, ours),
    closeTheirs: () => closeAll([theirs, ...outputs]),
  };
}

/** The terminal as input and output of a command of this user. */
export function terminalStreams(
  pty: Pty,
  user: { readonly uid?: number; readonly gid?: number },
): StandardStreams {
  const { slaveFd, masterFd } = pty;
  if (user.uid !== undefined) fchownSync(slaveFd, user.uid, user.gid ?? user.uid);
  return {
    stdio: [slaveFd, slaveFd, slaveFd, masterFd],
    input: terminalInput(pty),
    closeTheirs: () => pty.closeSlave(),
  };
}

/** The input of a container that an earlier kubelet started; undefined where it has none, or has been given it. */
export function adoptPipeInput(folder: string, mode: InputMode): ContainerInput | undefined {
  if (mode === 'none' || (mode === 'once' && !existsSync(join(folder, GIVEN_PIPE)))) return undefined;
  return pipeInput(mode, folder, openInput(folder));
}

/** Throws Fault DESCRIPTOR when the supervisor's copy cannot be had. */
export function adoptTerminal(supervisorPid: number): Terminal {
  return terminalOf(borrowDescriptor(supervisorPid, HELD_FD));
}

export function terminalInput(terminal: Terminal): ContainerInput {
  return {
    mode: 'terminal',
    write: bounded(terminal.input),
    resize: (columns, rows) => terminal.resize(columns, rows),
    end: () => {},
    close: () => terminal.close(),
  };
}

/** Non-blocking, so that writing uses epoll and no thread. */
function openInput(folder: string): number {
  return openSync(join(folder, STDIN_PIPE), constants.O_WRONLY | constants.O_NONBLOCK);
}

function pipeInput(mode: InputMode, folder: string, fd: number): ContainerInput {
  const socket = new Socket({ fd, readable: false, writable: true });
  socket.on('error', () => socket.destroy()); // the container ended, or closed its input
  socket.unref();
  let given: number | undefined;
  let isOver = false;
  const end = (): void => {
    if (mode !== 'once' || isOver) return;
    isOver = true;
    socket.destroy();
    // open until the container ends: who holds the input may only now begin to
    given = openSync(join(folder, GIVEN_PIPE), constants.O_RDWR);
    rmSync(join(folder, GIVEN_PIPE));
  };
  const close = (): void => {
    isOver = true;
    socket.destroy();
    if (given !== undefined) closeSync(given);
    given = undefined;
  };
  return { mode, write: bounded(socket), resize: () => {}, end, close };
}

/** What clients left behind that nobody reads must not pile up. */
function bounded(stream: Writable): ContainerInput['write'] {
  return (chunk, done) => {
    if (stream.writableLength > INPUT_BACKLOG_MAX_BYTES)
      return done(new Fault('INPUT_FULL', 'the container does not read its input'));
    stream.write(chunk, done);
  };
}
