import { messageOf } from '../../src/base/fault.ts';
import type { Exec } from '../../src/net/exec.ts';
import type { Family } from '../../src/net/ip.ts';

/** Routes of this protocol number are ours (rtnetlink(7): numbers above 4 are free for daemons). */
export const ROUTE_PROTOCOL = '151';

/**
 * Makes addresses that no interface has this host's own, by routes of type local on lo: sockets can then bind them
 * and packets for them end here, without any address translation. Only what is missing is written.
 */
export class LocalRoutes {
  readonly #exec: Exec;
  readonly #flag: '-4' | '-6';
  readonly #wanted = new Map<string, Set<string>>();
  readonly #ofOwner = new Map<string, readonly string[]>();
  readonly #written = new Set<string>();
  readonly #touched = new Set<string>();

  constructor(deps: { readonly exec: Exec }, options: { readonly family: Family }) {
    this.#exec = deps.exec;
    this.#flag = options.family === 'IPv4' ? '-4' : '-6';
  }

  /** Addresses that are wanted. */
  get size(): number {
    return this.#wanted.size;
  }

  /** The addresses an owner needs from now on; `commit` writes what differs. */
  set(owner: string, addresses: readonly string[]): void {
    for (const address of this.#ofOwner.get(owner) ?? []) {
      const owners = this.#wanted.get(address);
      owners?.delete(owner);
      if (owners?.size === 0) this.#wanted.delete(address);
      this.#touched.add(address);
    }
    if (addresses.length === 0) this.#ofOwner.delete(owner);
    else this.#ofOwner.set(owner, addresses);
    for (const address of addresses) {
      const owners = this.#wanted.get(address);
      if (owners) owners.add(owner);
      else this.#wanted.set(address, new Set([owner]));
      this.#touched.add(address);
    }
  }

  /** Brings the kernel to what is wanted. Returns why it could not, in words; it is tried again next time. */
  async commit(signal: AbortSignal): Promise<string | undefined> {
    const add = [...this.#touched].filter((each) => this.#wanted.has(each) && !this.#written.has(each));
    const remove = [...this.#touched].filter((each) => !this.#wanted.has(each) && this.#written.has(each));
    if (add.length + remove.length === 0) {
      this.#touched.clear();
      return undefined;
    }
    const line = (verb: string, address: string): string =>
      `route ${verb} local ${address} dev lo proto ${ROUTE_PROTOCOL} table local\n`;
    const input = [...remove.map((each) => line('del', each)), ...add.map((each) => line('replace', each))];
    const fault = await this.#run(['-force', '-batch', '-'], input.join(''), signal);
    if (fault !== undefined) return fault;
    for (const address of add) this.#written.add(address);
    for (const address of remove) this.#written.delete(address);
    this.#touched.clear();
    return undefined;
  }

  /** Removes all routes of ours, those of an earlier process too. */
  async flush(signal?: AbortSignal): Promise<string | undefined> {
    this.#written.clear();
    for (const address of this.#wanted.keys()) this.#touched.add(address);
    return await this.#run(['route', 'flush', 'table', 'local', 'proto', ROUTE_PROTOCOL], '', signal);
  }

  async #run(args: readonly string[], input: string, signal?: AbortSignal): Promise<string | undefined> {
    try {
      const options = { input, ...(signal && { signal }) };
      const { exitCode, stderr } = await this.#exec('ip', [this.#flag, ...args], options);
      return exitCode === 0 || /Nothing to flush/.test(stderr)
        ? undefined
        : (stderr.trim().split('\n')[0] ?? `ip exits with ${exitCode}`);
    } catch (error) {
      return messageOf(error);
    }
  }
}
