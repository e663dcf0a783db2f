import type { Clock } from '../../base/clock.ts';
import { Fault, hasCode, messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { SyncLoop } from '../../base/sync-loop.ts';
import type { Exec } from '../../net/exec.ts';
import { hostCidr } from '../../net/cidr.ts';
import { canonicalAddress, familyOf, type Family } from '../../net/ip.ts';
import type { IptablesTable, Rule } from '../../net/iptables-rule.ts';
import { Iptables } from '../../net/iptables.ts';

const CHAIN = 'WEFT-DNS';
const JUMP: Rule = { matches: [], target: { kind: 'jump', chain: CHAIN } };
const HOOKS: readonly (readonly [IptablesTable, string])[] = [
  ['raw', 'PREROUTING'],
  ['raw', 'OUTPUT'],
  ['filter', 'INPUT'],
  ['filter', 'OUTPUT'],
];
/** Others rewrite rules and links too: what is missing comes back. */
const PACE = { minIntervalMs: 1000, retryIntervalMs: 5000, maxIntervalMs: 60_000 };

export interface NodeLocalDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
}

export interface NodeLocalOptions {
  /** A link-local address, the cluster IP of the DNS service, or both. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** Of the dummy interface that carries the addresses. */
  readonly interfaceName: string;
  /** Default true: DNS to and from the addresses is not tracked and is accepted. */
  readonly rules?: boolean;
}

/**
 * The ground node-local DNS stands on: a dummy interface with the addresses, and rules that keep their DNS packets out
 * of connection tracking, so out of kube-proxy's NAT too. Missing pieces are put back once a minute.
 */
export interface NodeLocal extends AsyncDisposable {
  /** Takes the rules away: the cluster IP leads to the DNS service again while our server drains. */
  withdraw(): Promise<void>;
}

/** Rejects with NODE_LOCAL when an address is none or the interface cannot be made. */
export async function openNodeLocal(deps: NodeLocalDeps, options: NodeLocalOptions): Promise<NodeLocal> {
  const addresses = options.addresses.map((text) => {
    const address = canonicalAddress(text);
    if (address === undefined) throw new Fault('NODE_LOCAL', `${text} is no address`);
    return address;
  });
  const ground = new Ground(deps, { ...options, addresses });
  await ground.apply();
  ground.follow();
  return ground;
}

class Ground implements NodeLocal {
  readonly #deps: NodeLocalDeps;
  readonly #options: NodeLocalOptions;
  readonly #loop: SyncLoop;
  readonly #families: readonly Family[];
  #rules: boolean;

  constructor(deps: NodeLocalDeps, options: NodeLocalOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#rules = options.rules ?? true;
    this.#families = (['IPv4', 'IPv6'] as const).filter((family) =>
      options.addresses.some((address) => familyOf(address) === family),
    );
    this.#loop = new SyncLoop(deps, PACE, async () => await this.apply());
  }

  async apply(): Promise<void> {
    await this.#applyInterface();
    await this.#applyRules();
  }

  /** From now on missing pieces come back. */
  follow(): void {
    this.#loop.mark();
  }

  async withdraw(): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
    if (!this.#rules) return;
    this.#rules = false;
    for (const family of this.#families) await this.#removeRules(family);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.withdraw();
    const { exec, log } = this.#deps;
    const { exitCode, stderr } = await exec('ip', ['link', 'del', this.#options.interfaceName]);
    if (exitCode !== 0) log.warn('node-local interface not removed', { reason: stderr.trim() });
  }

  async #applyInterface(): Promise<void> {
    const { interfaceName, addresses } = this.#options;
    const shown = await this.#deps.exec('ip', ['-o', 'addr', 'show', 'dev', interfaceName]);
    if (shown.exitCode !== 0) {
      await this.#addInterface(interfaceName);
      await this.#ip(['link', 'set', interfaceName, 'up']);
    }
    for (const address of addresses) {
      const cidr = hostCidr(address);
      if (shown.stdout.includes(` ${cidr} `)) continue;
      const flags = familyOf(address) === 'IPv6' ? ['nodad'] : [];
      await this.#ip(['addr', 'replace', cidr, 'dev', interfaceName, ...flags]);
    }
  }

  /** A bridge without ports carries addresses as well, on kernels without dummy devices. */
  async #addInterface(name: string): Promise<void> {
    const made = await this.#deps.exec('ip', ['link', 'add', name, 'type', 'dummy']);
    if (made.exitCode !== 0) await this.#ip(['link', 'add', name, 'type', 'bridge']);
  }

  async #ip(args: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await this.#deps.exec('ip', args);
    if (exitCode === 0) return;
    throw new Fault(
      'NODE_LOCAL',
      `ip ${args.join(' ')}: ${stderr.trim()}. Node-local DNS needs net_admin, which root has.`,
    );
  }

  async #applyRules(): Promise<void> {
    if (!this.#rules) return;
    try {
      for (const family of this.#families) await this.#writeRules(family);
    } catch (error) {
      // Without rules everything is answered too, only tracked.
      if (!hasCode(error, 'EXEC_NOT_FOUND')) throw error;
      this.#rules = false;
      this.#deps.log.warn('iptables is not installed: node-local DNS is tracked', {
        reason: messageOf(error),
      });
    }
  }

  async #writeRules(family: Family): Promise<void> {
    const iptables = this.#iptables(family);
    const addresses = this.#options.addresses.filter((address) => familyOf(address) === family);
    await iptables.restoreText(chainText(addresses, this.#options.port));
    for (const [table, chain] of HOOKS) {
      if (await iptables.hasRule(table, chain, JUMP)) continue;
      await iptables.restoreText(`*${table}\n-I ${chain} 1 -j ${CHAIN}\nCOMMIT\n`);
    }
  }

  async #removeRules(family: Family): Promise<void> {
    const iptables = this.#iptables(family);
    try {
      for (const [table, chain] of HOOKS) {
        if (!(await iptables.hasRule(table, chain, JUMP))) continue;
        await iptables.restoreText(`*${table}\n-D ${chain} -j ${CHAIN}\nCOMMIT\n`);
      }
      for (const table of ['raw', 'filter'] as const) {
        await iptables.restore([{ table, chains: new Map(), removedChains: [CHAIN] }]);
      }
    } catch (error) {
      this.#deps.log.error('node-local rules not removed', { family, reason: messageOf(error) });
    }
  }

  #iptables(family: Family): Iptables {
    return new Iptables(this.#deps, { family, variant: 'auto' });
  }
}

/** DNS to and from each address: untracked, and let through whatever the host's own rules say. */
function chainText(addresses: readonly string[], port: number): string {
  const rules = (target: string): string[] =>
    addresses.flatMap((address) =>
      ['udp', 'tcp'].flatMap((protocol) => [
        `-A ${CHAIN} -p ${protocol} -d ${address} --dport ${port} -j ${target}`,
        `-A ${CHAIN} -p ${protocol} -s ${address} --sport ${port} -j ${target}`,
      ]),
    );
  const table = (name: string, target: string): string[] => [
    `*${name}`,
    `:${CHAIN} - [0:0]`,
    ...rules(target),
    'COMMIT',
  ];
  return `${[...table('raw', 'NOTRACK'), ...table('filter', 'ACCEPT')].join('\n')}\n`;
}
