import { readFileSync } from 'node:fs';
import type { NodeView, ServicePortView } from '../../endpoints/node-view.ts';
import { Fault, messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Exec } from '../../src/net/exec.ts';
import type { Family } from '../../src/net/ip.ts';
import type { Iptables } from '../../src/net/iptables.ts';
import type { IpsetOptions } from '../../src/net/ipset.ts';
import { IPSET_IN_USE, Ipsets } from '../../src/net/netlink/ipset.ts';
import { NETLINK, type OpenNetlink } from '../../src/net/netlink/socket.ts';
import { AFFINITY_CLIENTS_MAX, RECENT_CLIENTS_ENOUGH } from '../limits.ts';
import { affinitySets, type AffinityStore } from './port-rules.ts';

const LIST_SIZE = '/sys/module/xt_recent/parameters/ip_list_tot';
const PROBES = { IPv4: 'WEFT-PROBE', IPv6: 'WEFT-PROBE-6' } as const;
const SET_PREFIX = { IPv4: 'KUBE-SEP-', IPv6: 'KUBE-6-SEP-' } as const;

export interface AffinityDeps {
  readonly exec: Exec;
  readonly log: Logger;
  readonly iptables: Iptables;
  /** Absent: clients are remembered in `recent` lists, however short. */
  readonly openNetlink?: OpenNetlink;
}

/**
 * Chooses where clients with session affinity are remembered, and keeps the ipsets for it. `recent` lists are
 * taken when the kernel's module was loaded with lists long enough (weft tries to load it so); else ipsets, each
 * named after the endpoint's chain.
 */
export class AffinitySets implements Disposable {
  readonly #deps: AffinityDeps;
  readonly #family: Family;
  #opened: Ipsets | undefined;
  #store: AffinityStore | undefined;

  constructor(deps: AffinityDeps, family: Family) {
    this.#deps = deps;
    this.#family = family;
  }

  /** Undefined until some port asked for affinity. */
  get store(): AffinityStore | undefined {
    return this.#store;
  }

  /** Decides once, when the first port with affinity shows up. */
  async decide(ports: Iterable<ServicePortView | undefined>, signal: AbortSignal): Promise<void> {
    if (this.#store !== undefined || !isAnySticky(ports)) return;
    this.#store = (await this.#longLists()) ? 'recent' : await this.#trySets(signal);
  }

  /** Makes the sets that rules are about to refer to. */
  async prepare(ports: Iterable<ServicePortView | undefined>, signal: AbortSignal): Promise<void> {
    if (this.#store !== 'ipset') return;
    signal.throwIfAborted();
    const options: IpsetOptions = {
      type: 'hash:ip',
      family: this.#family,
      hashSize: 64,
      entriesMax: AFFINITY_CLIENTS_MAX,
      timeoutSeconds: 0,
    };
    const names = [...ports].flatMap((port) => (port ? affinitySets(port) : []));
    await this.#sets().write(names.map((set) => ({ verb: 'create', set, options })));
  }

  /** Removes the sets of endpoints that left; the rules do not refer to them any more. */
  async release(before: ReadonlyMap<string, ServicePortView>, view: NodeView): Promise<void> {
    if (this.#store !== 'ipset') return;
    for (const [key, port] of before) {
      const now = view.ports.get(key);
      const kept = new Set(now ? affinitySets(now) : []);
      await this.#destroy(affinitySets(port).filter((name) => !kept.has(name)));
    }
  }

  /** Removes all sets but those of these ports. */
  async removeOthers(ports: Iterable<ServicePortView>): Promise<void> {
    // without netlink there never was a set
    if (!this.#deps.openNetlink) return;
    const kept = new Set([...ports].flatMap((port) => affinitySets(port)));
    const names = await this.#sets().names();
    await this.#destroy(names.filter((name) => name.startsWith(SET_PREFIX[this.#family]) && !kept.has(name)));
  }

  [Symbol.dispose](): void {
    this.#opened?.[Symbol.dispose]();
  }

  /** A set that is still in use serves another variant that takes over: that one removes it. */
  async #destroy(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    await this.#sets().write(
      names.map((set) => ({ verb: 'destroy', set })),
      [IPSET_IN_USE, 'ENOENT'],
    );
  }

  #sets(): Ipsets {
    const { openNetlink } = this.#deps;
    if (!openNetlink) throw new Fault('NETLINK', 'no netlink to make ipsets with');
    return (this.#opened ??= new Ipsets(openNetlink(NETLINK.NETFILTER)));
  }

  async #longLists(): Promise<boolean> {
    if (listSize() === undefined) {
      const sizes = [`ip_list_tot=${AFFINITY_CLIENTS_MAX}`, 'ip_list_hash_size=256'];
      await this.#deps.exec('modprobe', ['xt_recent', ...sizes]).catch(() => undefined);
    }
    return (listSize() ?? 0) >= RECENT_CLIENTS_ENOUGH;
  }

  /** Not every kernel and host has ipsets: tries one in a chain that nothing runs through. */
  async #trySets(signal: AbortSignal): Promise<AffinityStore> {
    const { iptables, log } = this.#deps;
    const options: IpsetOptions = { type: 'hash:ip', family: this.#family, timeoutSeconds: 0 };
    const probe = PROBES[this.#family];
    const rule = `-m set --match-set ${probe} src -j SET --add-set ${probe} src --exist --timeout 1`;
    try {
      await this.#sets().write([{ verb: 'create', set: probe, options }]);
      await iptables.restoreText(`*nat\n:${probe} - [0:0]\n-A ${probe} ${rule}\nCOMMIT\n`, signal);
      await iptables.restoreText(`*nat\n:${probe} - [0:0]\n-X ${probe}\nCOMMIT\n`, signal);
      await this.#destroy([probe]);
      return 'ipset';
    } catch (error) {
      if (signal.aborted) throw error;
      const clients = listSize() ?? 100;
      log.warn('session affinity forgets clients beyond a number', { clients, reason: messageOf(error) });
      return 'recent';
    }
  }
}

function isAnySticky(ports: Iterable<ServicePortView | undefined>): boolean {
  for (const port of ports) if (port && port.affinitySeconds > 0) return true;
  return false;
}

/** How many clients a list holds; undefined while the module is not loaded. */
function listSize(): number | undefined {
  try {
    return Number(readFileSync(LIST_SIZE, 'utf8'));
  } catch {
    return undefined;
  }
}
