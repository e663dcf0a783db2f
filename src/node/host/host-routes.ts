import { messageOf } from '../../base/fault.ts';
import type { Exec } from '../../net/exec.ts';
import { familyOf } from '../../net/ip.ts';

/** A route of ours: to this host itself, or by way of another node. */
export interface HostRoute {
  /** Address or CIDR. */
  readonly to: string;
  /** Undefined: the address (or each of the range) is this host's own. */
  readonly via: string | undefined;
}

/**
 * Routes that belong to one part of the daemon, told apart from all others by their protocol number
 * (rtnetlink(7): numbers above 4 are free for daemons). Only what differs from the last time is written.
 */
export class HostRoutes implements AsyncDisposable {
  readonly #exec: Exec;
  readonly #protocol: number;
  readonly #written = new Map<string, HostRoute>();
  #flushed = false;

  constructor(deps: { readonly exec: Exec }, options: { readonly protocol: number }) {
    this.#exec = deps.exec;
    this.#protocol = options.protocol;
  }

  /** Brings the kernel to these routes. Returns why it could not, in words; call again to try again. */
  async set(routes: readonly HostRoute[]): Promise<string | undefined> {
    if (!this.#flushed) await this.#flush(); // what an earlier process left behind
    this.#flushed = true;
    const wanted = new Map(routes.map((route) => [keyOf(route), route]));
    const remove = [...this.#written].filter(([key]) => !wanted.has(key));
    const add = [...wanted].filter(([key]) => !this.#written.has(key));
    for (const family of ['-4', '-6'] as const) {
      const ofFamily = ([, route]: [string, HostRoute]): boolean => flagOf(route) === family;
      const lines = [
        ...remove.filter(ofFamily).map(([, route]) => `route del ${this.#words(route)}\n`),
        ...add.filter(ofFamily).map(([, route]) => `route replace ${this.#words(route)}\n`),
      ];
      const fault = lines.length > 0 ? await this.#run(family, lines.join('')) : undefined;
      if (fault !== undefined) return fault;
    }
    for (const [key] of remove) this.#written.delete(key);
    for (const [key, route] of add) this.#written.set(key, route);
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.set([]);
  }

  #words({ to, via }: HostRoute): string {
    const where = via === undefined ? `local ${to} dev lo table local` : `${to} via ${via}`;
    return `${where} proto ${this.#protocol}`;
  }

  async #flush(): Promise<void> {
    for (const family of ['-4', '-6']) {
      for (const table of ['local', 'main']) {
        const args = [family, 'route', 'flush', 'table', table, 'proto', String(this.#protocol)];
        await this.#exec('ip', args).catch(() => {}); // `set` says what is wrong with ip
      }
    }
  }

  async #run(family: string, input: string): Promise<string | undefined> {
    try {
      const { exitCode, stderr } = await this.#exec('ip', [family, '-force', '-batch', '-'], { input });
      return exitCode === 0 ? undefined : (stderr.trim().split('\n')[0] ?? `ip exits with ${exitCode}`);
    } catch (error) {
      return messageOf(error);
    }
  }
}

function keyOf({ to, via }: HostRoute): string {
  return `${to} ${via ?? 'local'}`;
}

function flagOf({ to }: HostRoute): '-4' | '-6' {
  return familyOf(to.split('/')[0] ?? '') === 'IPv6' ? '-6' : '-4';
}
