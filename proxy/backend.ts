import type { NodeView, NodeViewChanges, ServicePortView } from '../endpoints/node-view.ts';
import type { Family, Transport } from '../src/net/ip.ts';

export type ProxyMode = 'userspace' | 'iptables' | 'ipvs' | 'nftables';

/** What one apply did, for metrics and for the log. */
export interface Applied {
  readonly full: boolean;
  readonly changedPorts: number;
  readonly durationMs: number;
  /** Ports that could not be served, with the reason people read (condition on the Service, trace). */
  readonly refused: readonly { readonly key: string; readonly reason: string }[];
  /** The kernel refused a change, and all was written anew. */
  readonly retried?: boolean;
  /** Something that is not needed any more could not be removed; what is served is right. */
  readonly cleanupFailed?: boolean;
  /** Rules by table: what the kernel holds of ours, and what was written now. */
  readonly rules?: Readonly<Record<string, { readonly held: number; readonly written: number }>>;
  /** UDP flows that were made to choose anew, and how long that took. */
  readonly staleFlows?: { readonly deleted: number; readonly durationMs: number };
}

/**
 * Brings the kernel (or sockets) of one family to a view. Call rules: one apply at a time; `previous` gives the
 * last values the backend saw for removed or replaced keys. A rejected apply leaves the old rules serving; the
 * next apply is then called with changes.complete = false. Dispose leaves kernel rules in place (they keep
 * serving); only cleanup removes them.
 */
export interface Backend extends AsyncDisposable {
  readonly mode: ProxyMode;
  readonly family: Family;
  apply(
    view: NodeView,
    changes: NodeViewChanges,
    previous: ReadonlyMap<string, ServicePortView>,
    signal: AbortSignal,
  ): Promise<Applied>;
  /** Removes every rule, set, device and socket of this mode that weft or kube-proxy wrote. Idempotent. */
  cleanup(signal: AbortSignal): Promise<void>;
  /** Connections that end when this process ends; kernel modes hold none. */
  readonly activeCount?: number;
  /** Numbers by service port since the start, for metrics and trace. */
  counters?(signal: AbortSignal): Promise<readonly PortCounts[]>;
  /** What single rules count, of both families together; undefined where nothing does. */
  packetCounts?(): Promise<PacketCounts | undefined>;
}

/** Packets, since the kernel made the counters. */
export interface PacketCounts {
  readonly invalidDropped: number;
  readonly localhostAccepted: number;
}

/** Bytes in run from client to endpoint, bytes out back. A mode leaves out what its kernel does not count. */
export interface TrafficCounts {
  readonly connections?: number;
  readonly active?: number;
  readonly bytesIn?: number;
  readonly bytesOut?: number;
  /** Dials (endpoint) or client connections (port) that came to nothing. */
  readonly failed?: number;
  /** Refused by policy, source range or limit. */
  readonly refused?: number;
}

export interface PortCounts extends TrafficCounts {
  /** Key of NodeView.ports. */
  readonly key: string;
  readonly endpoints: ReadonlyMap<string, TrafficCounts>;
}

/** The question of a trace or a case: the first packet of a new connection. */
export interface Packet {
  readonly sourceAddress: string;
  readonly inputInterface: string | undefined;
  readonly destinationAddress: string;
  readonly destinationPort: number;
  readonly protocol: Transport;
}

/** Where the packet ends. `backends` are `ip:port`, IPv6 in brackets, ascending. */
export interface Verdict {
  readonly verdict: 'dnat' | 'reject' | 'drop' | 'pass';
  readonly backends: readonly string[];
  readonly masquerade: boolean;
  readonly hairpin: readonly string[];
  readonly affinity: 'ClientIP' | null;
}

/** Answers where packets end, over whatever it was made of: views, or a mode's compiled rules. */
export interface Evaluator {
  evaluate(packet: Packet): Verdict;
}
