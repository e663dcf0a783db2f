import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';

/** True when network namespaces can be made: root with CAP_NET_ADMIN. */
export function canMakeNamespaces(): boolean {
  return process.getuid?.() === 0 && spawnSync('unshare', ['-n', 'true']).status === 0;
}

/** Ends what hangs, below a test's own deadline; a busy machine is slow, not wrong. */
const COMMAND_TIMEOUT_MS = 100_000;

export interface Output {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A host of its own: a network namespace with loopback up. Programs run in it with the default ports free. */
export class OwnNetwork implements Disposable {
  readonly name: string;

  constructor(purpose: string) {
    this.name = `weft-${purpose}-${process.pid}`;
    execFileSync('ip', ['netns', 'add', this.name]);
    execFileSync('ip', ['-n', this.name, 'link', 'set', 'lo', 'up']);
  }

  /** Runs a program to its end, and throws with what it printed where it has none in time. */
  run(
    program: string,
    args: readonly string[],
    options: { input?: string; timeoutMs?: number; env?: NodeJS.ProcessEnv } = {},
  ): Output {
    const timeout = options.timeoutMs ?? COMMAND_TIMEOUT_MS;
    const ran = spawnSync('ip', ['netns', 'exec', this.name, program, ...args], {
      encoding: 'utf8',
      input: options.input ?? '',
      timeout,
      env: options.env ?? process.env,
    });
    const { error, status, stdout, stderr } = ran;
    if (error && 'code' in error && error.code === 'ETIMEDOUT')
      throw new Error(`${program} ${args.join(' ')}: no end in ${timeout / 1000} s\n${stdout}${stderr}`);
    return { status, stdout, stderr };
  }

  start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.name, program, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Processes that still live in the namespace, `pid command`. */
  processes(): string[] {
    const pids = spawnSync('ip', ['netns', 'pids', this.name], { encoding: 'utf8' }).stdout.trim();
    if (pids === '') return [];
    const listed = spawnSync('ps', ['-o', 'pid=,args=', '-p', pids.replaceAll('\n', ',')], {
      encoding: 'utf8',
    });
    return listed.stdout
      .trim()
      .split('\n')
      .filter((line) => line !== '');
  }

  [Symbol.dispose](): void {
    for (const line of this.processes()) spawnSync('kill', ['-9', line.trim().split(' ')[0]!]);
    spawnSync('ip', ['netns', 'del', this.name]);
  }
}
