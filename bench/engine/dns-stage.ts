/** The servers of DNS that one set of names is asked of, and the questions. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Peer, writeZones } from '../dns/peers.ts';
import { answering, type Questions, startServer, writeQuestions } from '../dns/rig.ts';
import type { Contender } from './contest.ts';

export const HOST = '127.0.0.1';

/** What it started ends with it. */
export class DnsStage implements Disposable {
  readonly services: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  readonly #children: ChildProcess[] = [];

  constructor(services: number) {
    this.services = services;
    writeZones(this.#folder, services);
  }

  async weft(receivers: number): Promise<Contender> {
    const { child, port } = await startServer(this.services, 'native', receivers);
    this.#children.push(child);
    const name = receivers === 1 ? 'weft' : `weft, ${receivers} receivers`;
    return { name, pid: child.pid ?? 0, address: HOST, port };
  }

  async peer({ name, port, start }: Peer): Promise<Contender> {
    const child = start(this.#folder);
    this.#children.push(child);
    await answering(port);
    return { name, pid: child.pid ?? 0, address: HOST, port };
  }

  /** A file of them. */
  questions(kind: Questions): string {
    const path = join(this.#folder, `questions-${kind}`);
    writeQuestions(path, kind, this.services);
    return path;
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true });
  }
}
