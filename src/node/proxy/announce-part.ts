import { NodeViewTracker } from '../../../endpoints/node-view-tracker.ts';
import type { NodeSettings } from '../../../endpoints/node-view.ts';
import type { NodeEntry, SnapshotSource } from '../../../endpoints/snapshot.ts';
import type { BgpOptions } from '../../../proxy/announce/bgp/speaker.ts';
import { BgpSpeaker } from '../../../proxy/announce/bgp/speaker.ts';
import { LinkAnnouncer } from '../../../proxy/announce/layer2/link-announcer.ts';
import { WantedAddresses } from '../../../proxy/announce/wanted-addresses.ts';
import type { ApiClient } from '../../api/client/client.ts';
import { LEASE_NOT_RENEWED, openLeaderElection } from '../../api/client/leader-election.ts';
import { hasCode, messageOf } from '../../base/fault.ts';
import { Counter, Gauge } from '../../base/metrics.ts';
import { SyncLoop } from '../../base/sync-loop.ts';
import { parseAddress } from '../../net/ip.ts';
import { hardwareAddress, openPacketSocket } from '../../net/packet-socket.ts';
import type { NodeDeps } from '../parts.ts';

export interface AnnounceOptions {
  readonly nodeName: string;
  /** CIDRs of the load balancer addresses that are ours to announce; empty = all. */
  readonly ranges: readonly string[];
  /** Interfaces on which ARP and neighbour discovery are answered; empty = not at all. */
  readonly interfaces: readonly string[];
  readonly bgp: BgpOptions | undefined;
}

export interface AnnounceDeps extends NodeDeps {
  readonly snapshots: SnapshotSource;
  readonly client: ApiClient;
  /** How this node looks at services, by family. */
  readonly settings: () => readonly NodeSettings[];
}

const NAMESPACE = 'kube-system';
const EXCLUDED_LABEL = 'node.kubernetes.io/exclude-from-external-load-balancers';
/** Together a dead node's address is taken over in less than 2 s: what was seen last, the lease, one more try. */
const LEASE = { leaseDurationMs: 1_000, renewDeadlineMs: 800, retryPeriodMs: 250 } as const;
const PACE = { minIntervalMs: 20, retryIntervalMs: 1_000, maxIntervalMs: 0 };

/**
 * Makes the load balancer addresses of this cluster reachable from its links: one node for each address answers ARP and
 * neighbour discovery (it holds the address's Lease), and every node tells its BGP peers, who then share the load.
 */
export class Announcer implements AsyncDisposable {
  readonly #deps: AnnounceDeps;
  readonly #options: AnnounceOptions;
  readonly #wanted: readonly WantedAddresses[];
  readonly #links: readonly LinkAnnouncer[];
  readonly #elections = new Map<string, AsyncDisposable>();
  /** Addresses answered for although the Lease could not be renewed: nobody else has said they are theirs. */
  readonly #lingering = new Set<string>();
  readonly #held: Gauge;
  readonly #speaker: BgpSpeaker | undefined;
  readonly #loop: SyncLoop;
  readonly #subscription: Disposable;

  constructor(deps: AnnounceDeps, options: AnnounceOptions) {
    this.#deps = { ...deps, log: deps.log.with({ part: 'announce' }) };
    this.#options = options;
    const { snapshots, metrics } = deps;
    const { ranges, nodeName } = options;
    const isEligible = (): boolean => mayBalance(snapshots.snapshot.nodes.get(nodeName));
    this.#wanted = deps
      .settings()
      .map(
        (settings) => new WantedAddresses(new NodeViewTracker(snapshots, settings), { ranges, isEligible }),
      );
    this.#held = new Gauge({
      name: 'weft_announce_addresses',
      help: 'Load balancer addresses this node answers for',
      labelNames: ['protocol'],
      registers: [metrics],
    });
    const answers = new Counter({
      name: 'weft_announce_answers_total',
      help: 'Answers to ARP requests and neighbour solicitations',
      labelNames: ['protocol'],
      registers: [metrics],
    });
    const link = {
      ...this.#deps,
      openSocket: openPacketSocket,
      onContested: (address: string): void => this.#contested(address),
      onAnswer: (protocol: 'arp' | 'ndp'): void => answers.inc({ protocol }),
    };
    this.#links = options.interfaces.map(
      (name) => new LinkAnnouncer(link, { interface: name, mac: hardwareAddress(name) }),
    );
    this.#speaker = options.bgp && new BgpSpeaker(this.#deps, options.bgp);
    this.#loop = new SyncLoop(this.#deps, PACE, () => this.#sync());
    this.#subscription = snapshots.subscribe(() => this.#loop.mark());
    this.#loop.mark();
  }

  /** Leases are given back, so that others take over at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription[Symbol.dispose]();
    await this.#loop[Symbol.asyncDispose]();
    await Promise.all([...this.#elections.values()].map((each) => each[Symbol.asyncDispose]()));
    for (const link of this.#links) link[Symbol.dispose]();
    this.#speaker?.[Symbol.dispose]();
  }

  async #sync(): Promise<void> {
    const changes = this.#wanted.map((wanted) => wanted.refresh());
    if (this.#links.length > 0) {
      for (const address of changes.flatMap(({ added }) => added)) this.#stand(address);
      await Promise.all(changes.flatMap(({ removed }) => removed).map((address) => this.#withdraw(address)));
    }
    if (!this.#speaker) return;
    const all = this.#wanted.flatMap(({ addresses }) => [...addresses]);
    this.#speaker.announce(all);
    this.#held.set({ protocol: 'bgp' }, all.length);
  }

  /** Stands for election for an address. */
  #stand(address: string): void {
    if (this.#elections.has(address)) return;
    const { nodeName } = this.#options;
    const election = openLeaderElection(
      this.#deps,
      { namespace: NAMESPACE, name: leaseName(address), identity: nodeName, ...LEASE },
      (signal) => this.#hold(address, signal),
    );
    this.#elections.set(address, election);
  }

  async #withdraw(address: string): Promise<void> {
    const election = this.#elections.get(address);
    this.#elections.delete(address);
    this.#release(address); // before the Lease is given back: two must not answer at a time
    await election?.[Symbol.asyncDispose]();
    this.#release(address);
  }

  /** One term as holder of an address. */
  async #hold(address: string, signal: AbortSignal): Promise<void> {
    this.#lingering.delete(address);
    for (const link of this.#links) {
      try {
        link.claim(address);
      } catch (error) {
        this.#deps.log.error('address not announced', { address, reason: messageOf(error) });
      }
    }
    this.#deps.log.info('address announced', { address });
    this.#held.set({ protocol: 'layer2' }, this.#links[0]?.addresses.length ?? 0);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    // without an API server no other node can take over: go on until one says otherwise
    if (hasCode(signal.reason, LEASE_NOT_RENEWED) && this.#elections.has(address)) this.#linger(address);
    else this.#release(address);
  }

  #linger(address: string): void {
    this.#lingering.add(address);
    this.#deps.log.warn('lease not renewed, address still announced', { address });
  }

  /** Another node announces it: ours is over, whatever the Lease says. */
  #contested(address: string): void {
    if (!this.#lingering.has(address)) {
      this.#deps.log.warn('address announced by somebody else too', { address });
      return;
    }
    this.#release(address);
    this.#deps.log.info('address left to the node that announces it', { address });
  }

  #release(address: string): void {
    this.#lingering.delete(address);
    for (const link of this.#links) link.release(address);
    this.#held.set({ protocol: 'layer2' }, this.#links[0]?.addresses.length ?? 0);
  }
}

/** Not a node that is going away, nor one its administrator keeps out (KEP-1143). */
function mayBalance(node: NodeEntry | undefined): boolean {
  return node === undefined || (!node.deleting && node.labels[EXCLUDED_LABEL] === undefined);
}

/** A name of its own for each address: all bytes of an IPv6 address, for `::` may stand anywhere. */
function leaseName(address: string): string {
  const text = address.includes(':') ? Buffer.from(parseAddress(address) ?? []).toString('hex') : address;
  return `weft-address-${text.replaceAll('.', '-')}`;
}
