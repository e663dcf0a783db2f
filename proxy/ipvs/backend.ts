import type { NodeView, NodeViewChanges } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { cidrContains, parseCidr } from '../../src/net/cidr.ts';
import type { Exec } from '../../src/net/exec.ts';
import { familyOf, splitHostPort, type Family } from '../../src/net/ip.ts';
import { Ipset } from '../../src/net/ipset.ts';
import type { IptablesTable } from '../../src/net/iptables-rule.ts';
import { Iptables, type IptablesVariant } from '../../src/net/iptables.ts';
import { Ipvs, ipvsLine, type ServerKey } from '../../src/net/ipvs.ts';
import type { Applied, Backend, PortCounts } from '../backend.ts';
import { hasJump, removal, withJumps } from '../iptables/own-chains.ts';
import type { IpvsOptions } from '../kernel-options.ts';
import { DRAIN_CHECK_INTERVAL_MS, FIRST_SLICE_PORTS, INTACT_CHECK_INTERVAL_MS } from '../limits.ts';
import { PacedReading } from '../paced-reading.ts';
import { growingSlices } from '../slices.ts';
import { DummyDevice } from './dummy-device.ts';
import { prepareHost, probeIpvs } from './host.ts';
import { IPVS_CHAINS } from './names.ts';
import { renderRules } from './render.ts';
import { ipvsJumps } from './rules.ts';
import { Ruleset, type RulesetDelta } from './ruleset.ts';
import { ServerPlan } from './server-plan.ts';
import { ownSets, replaceSets, setLines } from './sets.ts';
import { ServerTraffic } from './traffic.ts';

export interface IpvsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
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
 * few constant iptables rules what to do. A change costs its own lines; only a full sync asks what is there.
 */
export class IpvsBackend implements Backend {
  readonly mode = 'ipvs';
  readonly family: Family;
  readonly #deps: IpvsDeps;
  readonly #options: IpvsBackendOptions;
  readonly #ipvs: Ipvs;
  readonly #ipset: Ipset;
  readonly #iptables: Iptables;
  readonly #device: DummyDevice;
  readonly #traffic = new ServerTraffic();
  readonly #reading: PacedReading;
  #written: Written | undefined;
  #checkedMs = 0;
  #drainedMs = 0;

  private constructor(deps: IpvsDeps, options: IpvsBackendOptions) {
    this.#deps = deps;
    this.#options = options;
    this.family = options.family;
    this.#reading = new PacedReading(deps.clock);
    this.#ipvs = new Ipvs(deps);
    this.#ipset = new Ipset(deps);
    this.#iptables = new Iptables(deps, options);
    this.#device = new DummyDevice(deps, options.family);
  }

  /**
   * Does not look whether the kernel can: cleanup must work where it cannot. The first apply does, and rejects
   * with IPVS_UNAVAILABLE.
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
    const startMs = this.#deps.clock.monotonicMs();
    const full = !(changes.complete && (await this.#update(view, changes.ports, signal)));
    if (full) await this.#replace(view, signal);
    await this.#retireDrained(signal);
    const durationMs = this.#deps.clock.monotonicMs() - startMs;
    return { full, changedPorts: full ? view.ports.size : changes.ports.size, durationMs, refused: [] };
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    this.#written = undefined;
    const names = ownSets(this.family, await this.#ipset.names(signal));
    const addresses = await this.#device.addresses(signal);
    for (const table of ['mangle', 'filter', 'nat'] as const) {
      const text = removal(table, await this.#iptables.save(table, signal), isOurs);
      if (text !== undefined) await this.#iptables.restoreText(text, signal);
    }
    // without the device there never was an IPVS of ours, and maybe none in the kernel
    if (await this.#device.exists(signal)) {
      const keys = [...(await this.#ipvs.held(signal)).keys()].filter((key) => this.#mayDelete(key));
      await this.#ipvs.restore(keys.map(ipvsLine.deleteServer), signal);
      await this.#device.unbind(addresses, signal);
      await this.#device.removeUnused(signal);
    }
    await this.#ipset.restore(
      names.map((name) => `destroy ${name}`),
      signal,
    );
  }

  async counters(signal: AbortSignal): Promise<readonly PortCounts[]> {
    const ruleset = this.#written?.ruleset;
    if (!ruleset) return [];
    return await this.#reading.read(() => this.#traffic.read(this.#ipvs, ruleset, signal));
  }

  /** The kernel keeps everything: it goes on serving until `cleanup`. */
  async [Symbol.asyncDispose](): Promise<void> {}

  /** Compares with what the kernel holds, and fills an empty one by slices. */
  async #replace(view: NodeView, signal: AbortSignal): Promise<void> {
    this.#written = undefined;
    await probeIpvs(this.#ipvs, this.#options.ipvs.scheduler);
    await this.#device.ensure(signal);
    await prepareHost({ ipvs: this.#ipvs, log: this.#deps.log }, this.#options.ipvs, signal);
    const ruleset = new Ruleset({ node: view.node, scheduler: this.#options.ipvs.scheduler });
    ruleset.change(view, view.ports.keys());
    await this.#ipset.restore(replaceSets(this.family, ruleset.entries.keys), signal);
    await this.#writeRules(view, signal);
    const plan = new ServerPlan(await this.#heldServers(signal));
    const bound = await this.#device.addresses(signal);
    for (const keys of growingSlices([...ruleset.serverKeys], FIRST_SLICE_PORTS)) {
      const { first } = plan.bring(keys, (key) => ruleset.server(key));
      await this.#ipvs.restore(first, signal);
      const addresses = new Set(keys.map(addressOf));
      await this.#device.bind(
        [...addresses].filter((address) => ruleset.addresses.has(address) && !bound.has(address)),
        signal,
      );
    }
    const stale = [...plan.keys].filter((key) => !ruleset.server(key) && this.#mayDelete(key));
    await this.#device.unbind(
      [...bound].filter((address) => !ruleset.addresses.has(address)),
      signal,
    );
    await this.#ipvs.restore(plan.bring(stale, () => undefined).last, signal);
    this.#written = { ruleset, plan };
  }

  /** False when the kernel does not hold what was written before: then all must be compared anew. */
  async #update(view: NodeView, keys: ReadonlySet<string>, signal: AbortSignal): Promise<boolean> {
    const written = this.#written;
    if (!written || !(await this.#isIntact(keys.size > 0, signal))) return false;
    if (keys.size === 0) return true;
    // until all is through, the shadow is ahead of the kernel: a failure must start anew
    this.#written = undefined;
    try {
      await this.#write(written, written.ruleset.change(view, keys), signal);
    } catch (error) {
      if (signal.aborted) throw error;
      this.#deps.log.warn('the kernel refused a change: comparing all with it', { error });
      return false;
    }
    this.#written = written;
    return true;
  }

  /** Sets know before traffic can come, addresses come last and go first. */
  async #write({ ruleset, plan }: Written, delta: RulesetDelta, signal: AbortSignal): Promise<void> {
    const { first, last } = plan.bring(delta.servers, (key) => ruleset.server(key));
    await this.#ipset.restore(setLines('add', this.family, delta.entries.added), signal);
    await this.#ipvs.restore(first, signal);
    await this.#device.bind(delta.addresses.added.keys(), signal);
    await this.#device.unbind(delta.addresses.removed.keys(), signal);
    await this.#ipvs.restore(last, signal);
    await this.#ipset.restore(setLines('del', this.family, delta.entries.removed), signal);
  }

  async #writeRules(view: NodeView, signal: AbortSignal): Promise<void> {
    const saved: Partial<Record<IptablesTable, string>> = {};
    for (const table of ['mangle', 'nat', 'filter'] as const)
      saved[table] = await this.#iptables.save(table, signal);
    const jumps = ipvsJumps().filter((jump) => !hasJump(saved[jump.table] ?? '', jump));
    const rules = renderRules({ node: view.node, masqueradeMark: this.#options.masqueradeMark });
    await this.#iptables.restoreText(withJumps(rules, jumps), signal);
  }

  /** Looks whether somebody else took things away: at each idle sync, and now and then in busy times. */
  async #isIntact(busy: boolean, signal: AbortSignal): Promise<boolean> {
    const nowMs = this.#deps.clock.monotonicMs();
    if (busy && nowMs - this.#checkedMs < INTACT_CHECK_INTERVAL_MS) return true;
    this.#checkedMs = nowMs;
    const missing = await this.#missing(signal);
    if (missing !== undefined)
      this.#deps.log.warn('somebody else changed what was written: comparing all', { missing });
    return missing === undefined;
  }

  async #missing(signal: AbortSignal): Promise<string | undefined> {
    for (const { table, chain, rule } of ipvsJumps())
      if (!(await this.#iptables.hasRule(table, chain, rule, signal))) return `${table} ${chain}`;
    const bound = await this.#device.addresses(signal);
    const held = await this.#ipvs.held(signal);
    const { ruleset } = this.#written ?? {};
    for (const address of ruleset?.addresses.keys ?? []) if (!bound.has(address)) return address;
    for (const key of ruleset?.serverKeys ?? []) if (!held.has(key)) return key;
    return undefined;
  }

  async #heldServers(signal: AbortSignal): ReturnType<Ipvs['held']> {
    const held = await this.#ipvs.held(signal);
    return new Map([...held].filter(([key]) => familyOf(addressOf(key)) === this.family));
  }

  /** Servers of the other family and those in excludeCIDRs belong to somebody else. */
  #mayDelete(key: ServerKey): boolean {
    const address = addressOf(key);
    if (familyOf(address) !== this.family) return false;
    return !this.#options.ipvs.excludeCIDRs.some((text) => {
      const cidr = parseCidr(text);
      return cidr !== undefined && cidrContains(cidr, address);
    });
  }

  async #retireDrained(signal: AbortSignal): Promise<void> {
    const plan = this.#written?.plan;
    const nowMs = this.#deps.clock.monotonicMs();
    if (!plan || plan.draining.length === 0 || nowMs - this.#drainedMs < DRAIN_CHECK_INTERVAL_MS) return;
    this.#drainedMs = nowMs;
    for (const key of plan.draining)
      await this.#ipvs.restore(plan.retire(key, await this.#ipvs.connections(key, signal)), signal);
  }
}

function addressOf(key: ServerKey): string {
  const place = splitHostPort(key.slice(key.indexOf(' ') + 1));
  if (!place) throw new Fault('IPVS_FAILED', `no address in ${key}`);
  return place.host;
}

function isOurs(chain: string): boolean {
  return (Object.values(IPVS_CHAINS) as readonly string[]).includes(chain);
}
