import type { ChildProcess } from 'node:child_process';
import { ROOT } from './source-files.ts';
import type { OwnNetwork } from './own-network.ts';

/** A weft command that runs until told to stop, with what it printed. */
export class WeftProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  #output = '';
  readonly #exited: Promise<number | null>;

  constructor(network: OwnNetwork, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.child = network.start(`${ROOT}bin/weft`, args, env);
    this.child.stdout?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    this.#exited = new Promise((resolve) => this.child.on('exit', (code) => resolve(code)));
  }

  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Resolves when the line `ready` was printed; rejects when the process ended before or the deadline passed. */
  async ready(deadlineMs = 180_000): Promise<void> {
    const end = performance.now() + deadlineMs;
    const ended = { exited: false };
    void this.#exited.then(() => (ended.exited = true));
    while (!/^ready$/m.test(this.#output)) {
      if (ended.exited) throw new Error(`weft ended before it was ready:\n${this.#output}`);
      if (performance.now() > end) throw new Error(`weft was not ready in time:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Asks it to stop and waits; the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.stop('SIGKILL');
  }
}
