import { Fault } from '../../src/base/fault.ts';
import type { Exec } from '../../src/net/exec.ts';
import type { Family } from '../../src/net/ip.ts';
import { CAPTURED_MARK } from './kernel-table.ts';
import { ROUTE_PROTOCOL } from './local-routes.ts';

/** Number of the routing table and of the rule that leads to it; nobody else has them (iproute2 rt_tables). */
const NUMBER = '151';
const RULE = ['fwmark', `${CAPTURED_MARK}/${CAPTURED_MARK}`, 'lookup', NUMBER, 'pref', NUMBER] as const;

/** Routes packets with the mark of captured connections to this host, whatever their destination (policy routing). */
export class PolicyRoute {
  readonly #exec: Exec;
  readonly #family: Family;

  constructor(deps: { readonly exec: Exec }, options: { readonly family: Family }) {
    this.#exec = deps.exec;
    this.#family = options.family;
  }

  /** Writes what is missing. Rejects with Fault ROUTE_FAILED and those of exec. */
  async ensure(signal: AbortSignal): Promise<void> {
    const anywhere = this.#family === 'IPv4' ? '0.0.0.0/0' : '::/0';
    const route = ['local', anywhere, 'dev', 'lo', 'table', NUMBER, 'proto', ROUTE_PROTOCOL];
    await this.#ip(['route', 'replace', ...route], signal);
    await this.#ip(['rule', 'add', ...RULE], signal, /File exists/);
  }

  /** Removes both, those of an earlier process too. */
  async remove(signal?: AbortSignal): Promise<void> {
    await this.#ip(['rule', 'del', ...RULE], signal, /No such file/);
    await this.#ip(['route', 'flush', 'table', NUMBER], signal, /does not exist|No such file/);
  }

  async #ip(args: readonly string[], signal: AbortSignal | undefined, expected?: RegExp): Promise<void> {
    const flag = this.#family === 'IPv4' ? '-4' : '-6';
    const { exitCode, stderr } = await this.#exec('ip', [flag, ...args], signal ? { signal } : {});
    if (exitCode !== 0 && !expected?.test(stderr))
      throw new Fault('ROUTE_FAILED', `ip ${flag} ${args.join(' ')}: ${stderr.trim()}`);
  }
}
