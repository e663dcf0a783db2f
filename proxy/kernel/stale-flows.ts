import type { NodeView, NodeViewChanges, ServicePortView } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import { hasCode, messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { ConntrackProgram, type TrackedFlow, type UdpFlows } from '../../src/net/conntrack.ts';
import type { Exec } from '../../src/net/exec.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { NETLINK, type OpenNetlink } from '../../src/net/netlink/socket.ts';
import { NetlinkUdpFlows } from '../../src/net/netlink/udp-flows.ts';
import type { Applied, Backend, PacketCounts, PortCounts } from '../backend.ts';

export interface StaleFlowDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
  /** Asks the kernel itself; absent: conntrack is started for each change of a UDP port. */
  readonly openNetlink?: OpenNetlink;
}

/**
 * UDP has no end of a connection: the kernel would send a busy client to an endpoint that has gone for as long as
 * it speaks, and leave flows untranslated that began before the service had an endpoint. After each apply that
 * touched a UDP port, flows to its addresses are forgotten unless they go to one of its endpoints of now; the
 * next datagram then chooses anew. TCP is left alone.
 */
export class StaleFlowBackend implements Backend {
  readonly #inner: Backend;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #flows: UdpFlows;

  constructor(deps: StaleFlowDeps, inner: Backend) {
    this.#clock = deps.clock;
    this.#inner = inner;
    this.#log = deps.log;
    this.#flows = openFlows(deps);
  }

  get mode(): Backend['mode'] {
    return this.#inner.mode;
  }

  get family(): Backend['family'] {
    return this.#inner.family;
  }

  async apply(
    view: NodeView,
    changes: NodeViewChanges,
    previous: ReadonlyMap<string, ServicePortView>,
    signal: AbortSignal,
  ): Promise<Applied> {
    const applied = await this.#inner.apply(view, changes, previous, signal);
    const keys = changes.complete ? changes.ports : new Set([...previous.keys(), ...view.ports.keys()]);
    const staleFlows = await this.#forgetStale(view, keys, previous, signal);
    return { ...applied, ...(staleFlows && { staleFlows }) };
  }

  cleanup(signal: AbortSignal): Promise<void> {
    return this.#inner.cleanup(signal);
  }

  async packetCounts(): Promise<PacketCounts | undefined> {
    return await this.#inner.packetCounts?.();
  }

  async counters(signal: AbortSignal): Promise<readonly PortCounts[]> {
    return (await this.#inner.counters?.(signal)) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
    this.#flows[Symbol.dispose]();
  }

  async #forgetStale(
    view: NodeView,
    keys: ReadonlySet<string>,
    previous: ReadonlyMap<string, ServicePortView>,
    signal: AbortSignal,
  ): Promise<Applied['staleFlows']> {
    const ports = [...keys].flatMap((key) => {
      const [before, now] = [previous.get(key), view.ports.get(key)];
      const isUdp = (now ?? before)?.protocol === 'UDP';
      return isUdp ? [{ before, now }] : [];
    });
    if (ports.length === 0) return undefined;
    const startMs = this.#clock.monotonicMs();
    try {
      const flows = await this.#flows.list(this.family, portNumbers(ports), signal);
      const stale = staleFlows(flows, ports);
      await this.#flows.forget(this.family, stale, signal);
      if (stale.length > 0) this.#log.debug('stale udp flows forgotten', { flows: stale.length });
      return { deleted: stale.length, durationMs: this.#clock.monotonicMs() - startMs };
    } catch (error) {
      if (signal.aborted) throw error;
      // the rules are in place: what is stale ends by its timeout
      const reason = hasCode(error, 'EXEC_NOT_FOUND') ? 'conntrack is not installed' : messageOf(error);
      this.#log.warn('cannot forget stale udp flows', { reason });
      return undefined;
    }
  }
}

function openFlows(deps: StaleFlowDeps): UdpFlows {
  try {
    const socket = deps.openNetlink?.(NETLINK.NETFILTER);
    if (socket) return new NetlinkUdpFlows(socket);
  } catch (error) {
    deps.log.info('udp flows are listed by conntrack', { reason: messageOf(error) });
  }
  return new ConntrackProgram(deps);
}

interface PortChange {
  readonly before: ServicePortView | undefined;
  readonly now: ServicePortView | undefined;
}

/** Flows to an address of one of the ports that do not go to one of its endpoints of now. */
export function staleFlows(
  flows: readonly TrackedFlow[],
  ports: readonly PortChange[],
): readonly TrackedFlow[] {
  const serving = new Map<string, Set<string>>();
  for (const { before, now } of ports) {
    const endpoints = [...(now?.clusterEndpoints ?? []), ...(now?.localEndpoints ?? [])];
    const reached = endpoints.map(({ address, port }) => joinHostPort(address, port));
    for (const place of new Set([...placesOf(before), ...placesOf(now)])) {
      const known = serving.get(place) ?? new Set();
      for (const endpoint of reached) known.add(endpoint);
      serving.set(place, known);
    }
  }
  return flows.filter((flow) => {
    const endpoints =
      serving.get(joinHostPort(flow.destination, flow.destinationPort)) ??
      serving.get(`*:${flow.destinationPort}`);
    if (!endpoints) return false;
    // nothing to go to and never translated: it is refused as it is
    const isTranslated = flow.replySource !== flow.destination;
    if (endpoints.size === 0 && !isTranslated) return false;
    return !endpoints.has(joinHostPort(flow.replySource, flow.replySourcePort));
  });
}

/** The ports that flows to them name: those of services, and node ports. */
function portNumbers(ports: readonly PortChange[]): ReadonlySet<number> {
  const views = ports.flatMap(({ before, now }) => [before, now]);
  const numbers = views.flatMap((view) => (view ? [view.port, view.nodePort] : []));
  return new Set(numbers.filter((port) => port > 0));
}

/** Where the port is met, `ip:port`; its node port on every address, `*:port`. */
function placesOf(view: ServicePortView | undefined): string[] {
  if (!view) return [];
  const addresses = [...(view.clusterIP === undefined ? [] : [view.clusterIP]), ...view.externalIPs];
  const places = [...addresses, ...view.loadBalancerIPs].map((address) => joinHostPort(address, view.port));
  return view.nodePort > 0 ? [...places, `*:${view.nodePort}`] : places;
}
