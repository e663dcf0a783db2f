import type { NodeView, NodeViewChanges } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import { cidrContains, parseCidr } from '../../src/net/cidr.ts';
import type { Exec } from '../../src/net/exec.ts';
import { familyOf, type Family } from '../../src/net/ip.ts';
import type { IptablesTable } from '../../src/net/iptables-rule.ts';
import { Iptables, type IptablesVariant } from '../../src/net/iptables.ts';
import { type IpvsChange, ipvsLine, type ServerKey, serverPlace } from '../../src/net/ipvs.ts';
import type { OpenNetlink } from '../../src/net/netlink/socket.ts';
import type { Applied, Backend, PortCounts } from '../backend.ts';
import { hasJump, removal, withJumps } from '../kernel/own-chains.ts';
import type { IpvsOptions } from '../config/kernel-options.ts';
import { KernelSync } from '../kernel/sync.ts';
import { DRAIN_CHECK_INTERVAL_MS, FIRST_SLICE_PORTS } from '../limits.ts';
import { PacedReading } from '../kernel/paced-reading.ts';
import { growingSlices } from '../kernel/growing-slices.ts';
import { DummyDevice } from './dummy-device.ts';
import { prepareHost, probeIpvs } from './host.ts';
import { type KernelCalls, openKernelCalls } from './kernel.ts';
import { IPVS_CHAINS } from './names.ts';
import { renderRules } from './render.ts';
import { ipvsJumps } from './rules.ts';
import { Ruleset, type RulesetDelta } from './ruleset.ts';
import { ServerPlan } from './server-plan.ts';
import { entryChanges, ownSets, replaceSets } from './sets.ts';
import { ServerTraffic } from './traffic.ts';

export interface IpvsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Runs iptables for the few constant rules. */
  readonly exec: Exec;
  /** All the rest goes by netlink. */
  readonly openNetlink?: OpenNetlink;
}

export interface IpvsBackendOptions {
  readonly family: Family;
  readonly masqueradeMark: number;
  readonly variant: IptablesVariant;
  readonly ipvs: IpvsOptions;
}

/** What was written, to differ from. */
interface Written {
  readonly ruleset: Ruleset;
  readonly plan: ServerPlan;
}

/**
 * kube-proxy's ipvs mode: virtual servers in the kernel, their addresses on a dummy device, sets that tell the
 * few constant iptables rules what to do. All but these rules is said by netlink. A change costs its own messages;
 * only a full sync asks what is there.
 */
export class IpvsBackend implements Backend {
  readonly mode = 'ipvs';
  readonly family: Family;
  readonly #deps: IpvsDeps;
  readonly #options: IpvsBackendOptions;
  readonly #kernel: KernelCalls;
  readonly #iptables: Iptables;
  readonly #device: DummyDevice;
  readonly #traffic = new ServerTraffic();
  readonly #reading: PacedReading;
  readonly #sync: KernelSync<Written>;
  #drainedMs = 0;

  private constructor(deps: IpvsDeps, options: IpvsBackendOptions) {
    this.#deps = deps;
    this.#options = options;
    this.family = options.family;
    this.#reading = new PacedReading(deps.clock);
    this.#kernel = openKernelCalls(deps.openNetlink);
    this.#iptables = new Iptables(deps, options);
    this.#device = new DummyDevice(this.#kernel.links, options.family);
    this.#sync = new KernelSync(deps, options.family, {
      replace: (view, signal) => this.#replace(view, signal),
      update: (written, view, keys) => this.#update(written, view, keys),
      missing: (written, _view, signal) => this.#missing(written, signal),
    });
  }

  /**
   * Does not look whether the kernel has IPVS: cleanup must work where it has not. The first apply does, and rejects
   * with IPVS_UNAVAILABLE. Throws the Faults of openNetlink.
   */
  static open(deps: IpvsDeps, options: IpvsBackendOptions): IpvsBackend {
    return new IpvsBackend(deps, options);
  }

  async apply(
    view: NodeView,
    changes: NodeViewChanges,
    _previous: unknown,
    signal: AbortSignal,
  ): Promise<Applied> {
    const applied = await this.#sync.apply(view, changes, signal);
    await this.#retireDrained();
    return applied;
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    this.#sync.forget();
    const { ipvs, ipsets } = this.#kernel;
    const names = ownSets(this.family, await ipsets.names());
    const addresses = await this.#device.addresses();
    for (const table of ['mangle', 'filter', 'nat'] as const) {
      const text = removal(table, await this.#iptables.save(table, signal), isOurs);
      if (text !== undefined) await this.#iptables.restoreText(text, signal);
    }
    // without the device there never was an IPVS of ours, and maybe none in the kernel
    if (await this.#device.exists()) {
      const keys = [...(await ipvs.servers()).keys()].filter((key) => this.#mayDelete(key));
      await ipvs.write(keys.map((key) => ({ verb: 'delete-server', key })));
      await this.#device.unbind(addresses);
      await this.#device.removeUnused();
    }
    await ipsets.write(names.map((set) => ({ verb: 'destroy', set })));
  }

  async counters(signal: AbortSignal): Promise<readonly PortCounts[]> {
    const ruleset = this.#sync.written?.ruleset;
    if (!ruleset) return [];
    return await this.#reading.read(() => this.#traffic.read(this.#kernel.ipvs, ruleset, signal));
  }

  /** The kernel keeps everything: it goes on serving until `cleanup`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#kernel[Symbol.dispose]();
  }

  /** Compares with what the kernel holds, and fills an empty one by slices. */
  async #replace(view: NodeView, signal: AbortSignal): Promise<Written> {
    const { ipvs, ipsets } = this.#kernel;
    await probeIpvs(ipvs, this.#options.ipvs.scheduler);
    await this.#device.ensure();
    await prepareHost({ ipvs, log: this.#deps.log }, this.#options.ipvs);
    const ruleset = new Ruleset({ node: view.node, scheduler: this.#options.ipvs.scheduler });
    ruleset.change(view, view.ports.keys());
    // kube-proxy's own sets have other limits: what takes their place has ours
    await ipsets.write(replaceSets(this.family, ruleset.entries.keys), ['EEXIST']);
    await this.#writeRules(view, signal);
    const isOfFamily = (key: ServerKey): boolean => familyOf(serverPlace(key).address) === this.family;
    const plan = new ServerPlan(await ipvs.held(isOfFamily));
    const bound = await this.#device.addresses();
    for (const keys of growingSlices([...ruleset.serverKeys], FIRST_SLICE_PORTS)) {
      signal.throwIfAborted();
      const { first } = plan.bring(keys, (key) => ruleset.server(key));
      await this.#writeServers(ruleset, first);
      const addresses = new Set(keys.map((key) => serverPlace(key).address));
      await this.#device.bind(
        [...addresses].filter((address) => ruleset.addresses.has(address) && !bound.has(address)),
      );
    }
    const stale = [...plan.keys].filter((key) => !ruleset.server(key) && this.#mayDelete(key));
    await this.#device.unbind([...bound].filter((address) => !ruleset.addresses.has(address)));
    await this.#writeServers(ruleset, plan.bring(stale, () => undefined).last);
    return { ruleset, plan };
  }

  async #update(written: Written, view: NodeView, keys: ReadonlySet<string>): Promise<boolean> {
    if (keys.size > 0) await this.#write(written, written.ruleset.change(view, keys));
    return true;
  }

  /** Sets know before traffic can come, addresses come last and go first. */
  async #write({ ruleset, plan }: Written, delta: RulesetDelta): Promise<void> {
    const { ipsets } = this.#kernel;
    const { first, last } = plan.bring(delta.servers, (key) => ruleset.server(key));
    await ipsets.write(entryChanges('add', this.family, delta.entries.added));
    await this.#writeServers(ruleset, first);
    await this.#device.bind(delta.addresses.added.keys());
    await this.#device.unbind(delta.addresses.removed.keys());
    await this.#writeServers(ruleset, last);
    await ipsets.write(entryChanges('del', this.family, delta.entries.removed));
  }

  /** A fault names the service port and the virtual server. */
  async #writeServers(ruleset: Ruleset, changes: readonly IpvsChange[]): Promise<void> {
    const about = (change: IpvsChange): string => {
      const owner = ruleset.ownerOf(change.key);
      return `${owner === undefined ? '' : `service port ${owner}: `}ipvsadm ${ipvsLine(change)}`;
    };
    await this.#kernel.ipvs.write(changes, about);
  }

  async #writeRules(view: NodeView, signal: AbortSignal): Promise<void> {
    const saved: Partial<Record<IptablesTable, string>> = {};
    for (const table of ['mangle', 'nat', 'filter'] as const)
      saved[table] = await this.#iptables.save(table, signal);
    const jumps = ipvsJumps().filter((jump) => !hasJump(saved[jump.table] ?? '', jump));
    const rules = renderRules({ node: view.node, masqueradeMark: this.#options.masqueradeMark });
    await this.#iptables.restoreText(withJumps(rules, jumps), signal);
  }

  async #missing({ ruleset }: Written, signal: AbortSignal): Promise<string | undefined> {
    for (const { table, chain, rule } of ipvsJumps())
      if (!(await this.#iptables.hasRule(table, chain, rule, signal))) return `${table} ${chain}`;
    const bound = await this.#device.addresses();
    const held = await this.#kernel.ipvs.servers();
    for (const address of ruleset.addresses.keys) if (!bound.has(address)) return address;
    for (const key of ruleset.serverKeys) if (!held.has(key)) return key;
    return undefined;
  }

  /** Servers of the other family and those in excludeCIDRs belong to somebody else. */
  #mayDelete(key: ServerKey): boolean {
    const { address } = serverPlace(key);
    if (familyOf(address) !== this.family) return false;
    return !this.#options.ipvs.excludeCIDRs.some((text) => {
      const cidr = parseCidr(text);
      return cidr !== undefined && cidrContains(cidr, address);
    });
  }

  async #retireDrained(): Promise<void> {
    const plan = this.#sync.written?.plan;
    const nowMs = this.#deps.clock.monotonicMs();
    if (!plan || plan.draining.length === 0 || nowMs - this.#drainedMs < DRAIN_CHECK_INTERVAL_MS) return;
    this.#drainedMs = nowMs;
    const { ipvs } = this.#kernel;
    for (const key of plan.draining) {
      const active = (await ipvs.reals(key)).map((each) => [each.real, each.active] as const);
      await ipvs.write(plan.retire(key, new Map(active)));
    }
  }
}

function isOurs(chain: string): boolean {
  return (Object.values(IPVS_CHAINS) as readonly string[]).includes(chain);
}
