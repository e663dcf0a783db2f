import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Output, OwnNetwork } from './own-network.ts';
import { ROOT } from './source-files.ts';
import { WeftProcess } from './weft-process.ts';

/** `weft up` on a host of its own, and the commands of another shell there, of a user with an empty home. */
export class UpHost implements AsyncDisposable {
  readonly #network: OwnNetwork;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #up: WeftProcess;

  private constructor(name: string, argsOf: (host: UpHost) => readonly string[]) {
    const folder = mkdtempSync(join(tmpdir(), `weft-${name}-`));
    this.#folder = folder;
    this.#env = { ...process.env, KUBECONFIG: '', HOME: folder, XDG_STATE_HOME: join(folder, 'state') };
    this.#network = new OwnNetwork(name);
    this.#up = new WeftProcess(this.#network, ['up', ...argsOf(this)], this.#env);
  }

  /** Ready. */
  static async open(name: string, argsOf: (host: UpHost) => readonly string[]): Promise<UpHost> {
    await using stack = new AsyncDisposableStack();
    const host = stack.use(new UpHost(name, argsOf));
    await host.#up.ready();
    stack.move();
    return host;
  }

  /** The path of a file with this text. */
  file(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text);
    return path;
  }

  weft(args: string): Output {
    return this.#network.run(`${ROOT}bin/weft`, args.split(' '), { env: this.#env });
  }

  /** A command that runs until it is told to stop. */
  start(args: string): ChildProcess {
    return this.#network.start(`${ROOT}bin/weft`, args.split(' '), this.#env);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#up.stop();
    this.#network[Symbol.dispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
