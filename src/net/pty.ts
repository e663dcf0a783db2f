import { closeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import type { Writable } from 'node:stream';
import koffi from 'koffi';
import { Fault } from '../base/fault.ts';

/** The master of a pseudo terminal: what is typed, what is shown. */
export interface Terminal {
  readonly masterFd: number;
  readonly input: Writable;
  readonly output: ReadStream;
  resize(columns: number, rows: number): void;
  /** Hangs up, unless another process holds the master too: the program gets SIGHUP. */
  close(): void;
}

/** A pseudo terminal pair: the program gets the slave as its descriptors 0, 1 and 2, we keep the master. */
export interface Pty extends Terminal {
  readonly slaveFd: number;
  /** Call once the program has its own copy. */
  closeSlave(): void;
}

const TIOCSWINSZ = 0x5414;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

interface PtyCalls {
  readonly openpty: (
    master: [number],
    slave: [number],
    name: null,
    termios: null,
    size: Uint16Array,
  ) => number;
  readonly ioctl: (fd: number, request: number, size: Uint16Array) => number;
  readonly fcntl: (fd: number, command: number, flags: number) => number;
}

let calls: PtyCalls | undefined;

/** openpty is in libc since glibc 2.34 and in musl; older ones have it in libutil. */
function ptyCalls(): PtyCalls {
  if (calls) return calls;
  const signature = 'int openpty(_Out_ int *master, _Out_ int *slave, void *name, void *termios, void *size)';
  const libc = koffi.load(null);
  const openpty = ((): PtyCalls['openpty'] => {
    try {
      return libc.func(signature) as PtyCalls['openpty'];
    } catch {
      return koffi.load('libutil.so.1').func(signature) as PtyCalls['openpty'];
    }
  })();
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *size)') as PtyCalls['ioctl'];
  const fcntl = libc.func('int fcntl(int fd, int command, long flags)') as PtyCalls['fcntl'];
  calls = { openpty, ioctl, fcntl };
  return calls;
}

/** Throws Fault PTY when the host has none to give (its limit is /proc/sys/kernel/pty/max). */
export function openPty(size: { readonly columns: number; readonly rows: number }): Pty {
  const { openpty, fcntl } = ptyCalls();
  const master: [number] = [-1];
  const slave: [number] = [-1];
  const failed = openpty(master, slave, null, null, windowSize(size.columns, size.rows)) !== 0;
  if (failed) throw new Fault('PTY', 'no pseudo terminal to be had');
  const [masterFd, slaveFd] = [master[0], slave[0]];
  // A stranger that we start meanwhile would else hold the terminal open.
  for (const fd of [masterFd, slaveFd]) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return { ...terminalOf(masterFd), slaveFd, closeSlave: () => closeSync(slaveFd) };
}

/** Takes over the descriptor of a master. */
export function terminalOf(masterFd: number): Terminal {
  const { ioctl } = ptyCalls();
  const output = new ReadStream(masterFd);
  // Reading a master whose program ended fails with EIO: that is its end of file.
  output.on('error', () => output.destroy());
  let closed = false;
  output.once('close', () => (closed = true));
  return {
    masterFd,
    output,
    input: output,
    resize: (columns, rows) => {
      if (!closed) ioctl(masterFd, TIOCSWINSZ, windowSize(columns, rows));
    },
    close: () => output.destroy(),
  };
}

/** struct winsize */
function windowSize(columns: number, rows: number): Uint16Array {
  return Uint16Array.of(rows, columns, 0, 0);
}
