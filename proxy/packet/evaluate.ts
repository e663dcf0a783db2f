import type { NodeView, ServicePortView } from '../../endpoints/node-view.ts';
import { transportOf } from '../../src/api/kinds/meta.ts';
import type { Cidr } from '../../src/net/cidr.ts';
import { familyOf, joinHostPort } from '../../src/net/ip.ts';
import type { Evaluator, Packet, ProxyMode, Verdict } from '../backend.ts';
import { decide, type Decision, type EntranceKind } from './decide.ts';
import { entrancesOf } from './entrances.ts';
import { type ModeTraits, traitsOf } from '../mode-traits.ts';
import { nodePortTest } from './node-ports.ts';
import { sourceRangeTest } from './source-ranges.ts';
import {
  anyContains,
  detectsPods,
  parsed,
  sourceClassifier,
  type SourceClassifier,
  type SourceKind,
} from './source.ts';

/** A verdict with the way there. */
export interface PacketTrace {
  readonly verdict: Verdict;
  /** The service port that was met; undefined when the packet met none. */
  readonly port: ServicePortView | undefined;
  readonly entrance: EntranceKind | undefined;
  readonly source: SourceKind | undefined;
  /** Why it ended so, in words. */
  readonly why: string;
}

export interface PacketTracer extends Evaluator {
  trace(packet: Packet): PacketTrace;
}

/**
 * The reference model: says from the views alone where a packet ends, by the traits of a mode. Kernel modes
 * answer the same questions over their compiled rules; one set of cases holds them together.
 */
export function viewEvaluator(views: readonly NodeView[], mode: ProxyMode): PacketTracer {
  const sides = views.map((view) => new Side(view, mode));
  const trace = (packet: Packet): PacketTrace => {
    const family = familyOf(packet.destinationAddress);
    const side = sides.find(({ view }) => view.node.family === family);
    return side?.trace(packet) ?? passed('no proxy serves this address family');
  };
  return { trace, evaluate: (packet) => trace(packet).verdict };
}

interface Met {
  readonly port: ServicePortView;
  readonly kind: EntranceKind;
}

class Side {
  readonly view: NodeView;
  readonly #mode: ProxyMode;
  readonly #traits: ModeTraits;
  readonly #classifier: SourceClassifier;
  readonly #serviceCIDRs: readonly Cidr[];
  readonly #isNodePortAddress: (address: string) => boolean;
  readonly #entrances = new Map<string, Met>();
  readonly #nodePorts = new Map<string, ServicePortView>();
  readonly #owners = new Map<string, Met>();

  constructor(view: NodeView, mode: ProxyMode) {
    this.view = view;
    this.#mode = mode;
    this.#traits = traitsOf(mode, view.node.strict);
    this.#classifier = sourceClassifier(view.node);
    this.#serviceCIDRs = parsed(view.node.serviceCIDRs);
    this.#isNodePortAddress = nodePortTest(view.node, this.#traits);
    for (const port of view.ports.values()) this.#index(port);
  }

  trace(packet: Packet): PacketTrace {
    const { destinationAddress, destinationPort, protocol } = packet;
    const met = this.#entrances.get(`${protocol} ${joinHostPort(destinationAddress, destinationPort)}`);
    if (met) return this.#met(packet, met);
    const nodePort = this.#nodePorts.get(`${protocol} ${destinationPort}`);
    if (nodePort && this.#classifier.isNodeAddress(destinationAddress)) {
      if (this.#isNodePortAddress(destinationAddress))
        return this.#met(packet, { port: nodePort, kind: 'node-port' });
      const refused = this.#traits.emptyNodePortEverywhere && refusedEverywhere(nodePort);
      if (refused) return this.#ended(...refused, { port: nodePort, kind: 'node-port' });
      return passed(`nodePortAddresses leave ${destinationAddress} out`);
    }
    return this.#unknown(packet);
  }

  #index(port: ServicePortView): void {
    const protocol = transportOf(port.protocol);
    for (const { kind, address, port: number } of entrancesOf(port, [])) {
      const id = `${protocol} ${joinHostPort(address, number)}`;
      if (!this.#entrances.has(id)) this.#entrances.set(id, { port, kind });
      if (!this.#owners.has(address)) this.#owners.set(address, { port, kind });
    }
    const nodePortId = `${protocol} ${port.nodePort}`;
    if (port.nodePort > 0 && !this.#nodePorts.has(nodePortId)) this.#nodePorts.set(nodePortId, port);
  }

  #met(packet: Packet, met: Met): PacketTrace {
    const { port, kind } = met;
    const source = this.#classifier.kindOf(packet.sourceAddress, packet.inputInterface);
    if (this.#mode === 'userspace' && packet.protocol === 'sctp')
      return this.#ended('reject', 'SCTP cannot be proxied in userspace', met);
    const sender = {
      kind: source,
      inRanges: () => sourceRangeTest(port, this.view.node)(packet.sourceAddress),
    };
    const settings = {
      traits: this.#traits,
      masqueradeAll: this.view.node.masqueradeAll,
      detectsPods: detectsPods(this.view.node),
    };
    const decision = decide(port, kind, sender, settings);
    if (decision.verdict !== 'dnat') return { ...this.#ended(decision.verdict, decision.why, met), source };
    const verdict = translated(decision, packet, port);
    return { verdict, port, entrance: kind, source, why: decision.why };
  }

  #unknown({ destinationAddress }: Packet): PacketTrace {
    const owner = this.#owners.get(destinationAddress);
    if (owner) {
      const { unknownPortOfClusterIP, unknownPortOfExternal } = this.#traits;
      // an externalIP that is the node's own has the node's other ports
      const isOwn = this.view.node.addresses.includes(destinationAddress);
      const external = isOwn ? 'pass' : unknownPortOfExternal;
      const verdict = owner.kind === 'cluster-ip' ? unknownPortOfClusterIP : external;
      const why = `${destinationAddress} belongs to ${owner.port.namespace}/${owner.port.name}, which has no such port`;
      return verdict === 'pass' ? passed(why) : { ...passed(why), verdict: ending(verdict) };
    }
    if (!anyContains(this.#serviceCIDRs, destinationAddress)) return passed('no service has this address');
    const why = 'an address of the service range that no service owns';
    return this.#traits.unownedServiceAddress === 'pass'
      ? passed(why)
      : { ...passed(why), verdict: ending('drop') };
  }

  #ended(verdict: 'reject' | 'drop', why: string, { port, kind }: Met): PacketTrace {
    return { verdict: ending(verdict), port, entrance: kind, source: undefined, why };
  }
}

function refusedEverywhere(port: ServicePortView): readonly ['reject' | 'drop', string] | undefined {
  if (!port.anyEndpoints) return ['reject', 'a node port without endpoints is refused on every address'];
  if (port.externalLocal && port.localEndpoints.length === 0)
    return ['drop', 'a node port of policy Local without a local endpoint is dropped on every address'];
  return undefined;
}

function translated(
  decision: Extract<Decision, { verdict: 'dnat' }>,
  packet: Packet,
  port: ServicePortView,
): Verdict {
  const backends = decision.endpoints.map((endpoint) => joinHostPort(endpoint.address, endpoint.port));
  const itself = decision.endpoints
    .filter((endpoint) => endpoint.address === packet.sourceAddress)
    .map((endpoint) => joinHostPort(endpoint.address, endpoint.port));
  const masquerade = decision.masquerade || itself.length === backends.length;
  return {
    verdict: 'dnat',
    backends,
    masquerade,
    hairpin: masquerade ? [] : itself,
    affinity: port.affinitySeconds > 0 ? 'ClientIP' : null,
  };
}

function ending(verdict: 'reject' | 'drop' | 'pass'): Verdict {
  return { verdict, backends: [], masquerade: false, hairpin: [], affinity: null };
}

function passed(why: string): PacketTrace {
  return { verdict: ending('pass'), port: undefined, entrance: undefined, source: undefined, why };
}
