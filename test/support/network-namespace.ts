import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

interface Calls {
  readonly unshare: (flags: number) => number;
  readonly setns: (fd: number, kind: number) => number;
}

let calls: Calls | undefined;

function libc(): Calls {
  if (calls) return calls;
  const library = koffi.load(null);
  calls = {
    unshare: library.func('int unshare(int flags)') as Calls['unshare'],
    setns: library.func('int setns(int fd, int kind)') as Calls['setns'],
  };
  return calls;
}

const ownNamespace = (): number => openSync('/proc/thread-self/ns/net', 'r');

/**
 * A network namespace without a name, alive as long as its descriptor: nothing is left behind, however this
 * process ends. `enter` moves this thread into it: sockets made and programs started from then on belong to it.
 * (What runs on other threads does not: use the synchronous calls for files below /proc/sys/net.)
 */
export class NetworkNamespace implements Disposable {
  readonly #fd: number;
  readonly #home: number;

  constructor() {
    this.#home = ownNamespace();
    if (libc().unshare(CLONE_NEWNET) !== 0) throw new Error('cannot make a network namespace');
    this.#fd = ownNamespace();
    enter(this.#home);
  }

  /** For `ip link ... netns PATH`. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.#fd}`;
  }

  /** Stays there until the returned value is disposed. */
  enter(): Disposable {
    const before = ownNamespace();
    enter(this.#fd);
    return {
      [Symbol.dispose]: () => {
        enter(before);
        closeSync(before);
      },
    };
  }

  /** Runs `ip` once for all the lines. */
  ip(lines: readonly string[]): void {
    using _inside = this.enter();
    execFileSync('ip', ['-batch', '-'], {
      input: `${lines.join('\n')}\n`,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
  }

  sysctl(name: string, value: number): void {
    using _inside = this.enter();
    writeFileSync(`/proc/sys/net/${name.replaceAll('.', '/')}`, String(value));
  }

  run(program: string, args: readonly string[], input = ''): string {
    using _inside = this.enter();
    return execFileSync(program, [...args], { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    closeSync(this.#home);
  }
}

function enter(fd: number): void {
  if (libc().setns(fd, CLONE_NEWNET) !== 0) throw new Error('cannot enter a network namespace');
}
