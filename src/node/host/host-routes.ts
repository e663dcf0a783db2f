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
 * (rtnetlink(7): numbers above 4 are free for daemons). They outlive the process: what an earlier one wrote is taken
 * over, and only what differs is written.
 */
export class HostRoutes {
  readonly #exec: Exec;
  readonly #protocol: number;
  /** By key; undefined until the kernel was asked what an earlier process left. */
  #written: Map<string, HostRoute> | undefined;

  constructor(deps: { readonly exec: Exec }, options: { readonly protocol: number }) {
    this.#exec = deps.exec;
    this.#protocol = options.protocol;
  }

  /** Brings the kernel to these routes. Returns why it could not, in words; call again to try again. */
  async set(routes: readonly HostRoute[]): Promise<string | undefined> {
    const written = (this.#written ??= await this.#found());
    const wanted = new Map(routes.map((route) => [keyOf(route), route]));
    const remove = [...written].filter(([key]) => !wanted.has(key));
    const add = [...wanted].filter(([key]) => !written.has(key));
    for (const family of ['-4', '-6'] as const) {
      const ofFamily = ([, route]: [string, HostRoute]): boolean => flagOf(route) === family;
      const lines = [
        ...remove.filter(ofFamily).map(([, route]) => `route del ${this.#words(route)}\n`),
        ...add.filter(ofFamily).map(([, route]) => `route replace ${this.#words(route)}\n`),
      ];
      const fault = lines.length > 0 ? await this.#run(family, lines.join('')) : undefined;
      if (fault !== undefined) return fault;
    }
    for (const [key] of remove) written.delete(key);
    for (const [key, route] of add) written.set(key, route);
    return undefined;
  }

  #words({ to, via }: HostRoute): string {
    const where = via === undefined ? `local ${to} dev lo table local` : `${to} via ${via}`;
    return `${where} proto ${this.#protocol}`;
  }

  /** What stands in the kernel with our number; nothing where `ip` cannot say it, as `set` will then tell. */
  async #found(): Promise<Map<string, HostRoute>> {
    const routes: HostRoute[] = [];
    for (const family of ['-4', '-6']) {
      for (const table of ['local', 'main']) {
        const args = [family, '-json', 'route', 'show', 'table', table, 'proto', String(this.#protocol)];
        const { stdout } = await this.#exec('ip', args).catch(() => ({ stdout: '' }));
        for (const { dst, gateway } of parseRoutes(stdout)) routes.push({ to: dst, via: gateway });
      }
    }
    return new Map(routes.map((route) => [keyOf(route), route]));
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

/** As `ip -json route show` prints them; nothing at all for an empty table. */
function parseRoutes(text: string): readonly { readonly dst: string; readonly gateway?: string }[] {
  return text.trim() === '' ? [] : (JSON.parse(text) as { dst: string; gateway?: string }[]);
}

function keyOf({ to, via }: HostRoute): string {
  return `${to} ${via ?? 'local'}`;
}

function flagOf({ to }: HostRoute): '-4' | '-6' {
  return familyOf(to.split('/')[0] ?? '') === 'IPv6' ? '-6' : '-4';
}
