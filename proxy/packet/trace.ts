import { kubeAddress } from '../../endpoints/address.ts';
import { explainService, type EndpointReason, type PortReasons } from '../../endpoints/explain.ts';
import type { NodeView } from '../../endpoints/node-view.ts';
import type { Snapshot } from '../../endpoints/snapshot.ts';
import { familyOf, joinHostPort, type Transport } from '../../src/net/ip.ts';
import type { Evaluator, Packet, ProxyMode, Verdict } from '../backend.ts';
import { viewEvaluator, type PacketTrace } from './evaluate.ts';

export interface ProxyTraceDeps {
  readonly snapshot: Snapshot;
  readonly views: readonly NodeView[];
  readonly mode: ProxyMode;
  /** Over the mode's compiled rules; what it says is the verdict. */
  readonly evaluator: Evaluator;
}

/** What the proxy does with one packet, and how it comes to that. */
export interface ProxyTrace {
  readonly verdict: Verdict;
  /** In the order they are decided: a topic and what was found. */
  readonly steps: readonly { readonly topic: string; readonly text: string }[];
  /** Each endpoint of the service port met, in or out with the reason. */
  readonly endpoints: readonly (EndpointReason & {
    /** The packet may end there. */
    readonly used: boolean;
  })[];
}

/**
 * Follows a packet: the verdict comes from the compiled rules, the words from the views. Where both should ever
 * disagree the trace says so instead of hiding it.
 */
export function traceProxy(deps: ProxyTraceDeps, packet: Packet): ProxyTrace {
  const { snapshot, views, mode, evaluator } = deps;
  const model = viewEvaluator(views, mode).trace(packet);
  const verdict = evaluator.evaluate(packet);
  const node = views.find((view) => view.node.family === familyOf(packet.destinationAddress))?.node;
  const entry = model.port && snapshot.services.get(`${model.port.namespace}/${model.port.name}`);
  const reasons = entry && node && explainService(entry, node);
  const ports = reasons?.ports.find(({ key }) => key === model.port?.key);
  const steps = [
    { topic: 'packet', text: packetText(packet, model) },
    { topic: 'proxy', text: `mode ${mode} on node ${node?.name ?? 'unknown'}` },
    ...serviceSteps(model, ports),
    ...unproxied(snapshot, packet, node),
    { topic: 'rule', text: model.why },
  ];
  if (!agree(model.verdict, verdict))
    steps.push({
      topic: 'warning',
      text: `the ${mode} rules say otherwise than the model: please report this`,
    });
  steps.push({ topic: 'verdict', text: verdictText(verdict) });
  const endpoints = (ports?.endpoints ?? []).map((reason) => {
    const used = verdict.backends.includes(reason.endpoint);
    const wanted = verdict.verdict === 'dnat' && !used && (reason.cluster || reason.local);
    return { ...reason, used, ...(wanted && { reason: `${reason.reason}: not for this packet` }) };
  });
  return { verdict, steps, endpoints };
}

function packetText(packet: Packet, { source }: PacketTrace): string {
  const { sourceAddress, inputInterface, destinationAddress, destinationPort, protocol } = packet;
  const who = source === 'pod' ? ' (a local pod)' : source === 'node' ? ' (this node)' : '';
  const through = inputInterface === undefined ? '' : ` on ${inputInterface}`;
  return `${sourceAddress}${through}${who} to ${joinHostPort(destinationAddress, destinationPort)}/${protocol}`;
}

function serviceSteps(
  { port, entrance }: PacketTrace,
  reasons: PortReasons | undefined,
): ProxyTrace['steps'] {
  if (!port || !entrance) return [];
  const name = port.portName === '' ? `port ${port.port}` : `port ${port.portName} (${port.port})`;
  const steps = [
    {
      topic: 'service',
      text: `${port.namespace}/${port.name} ${name}, met by its ${entrance.replace('-', ' ')}`,
    },
  ];
  if (reasons) steps.push({ topic: 'choice', text: reasons.selection });
  if (port.affinitySeconds > 0)
    steps.push({ topic: 'affinity', text: `a client keeps its endpoint for ${port.affinitySeconds} s` });
  return steps;
}

/** Services that own the address and that the proxy leaves alone: people ask why. */
function unproxied(
  snapshot: Snapshot,
  packet: Packet,
  node: NodeView['node'] | undefined,
): ProxyTrace['steps'] {
  if (!node) return [];
  const { destinationAddress } = packet;
  const owners = [...snapshot.services.values()].filter(
    ({ clusterIPs, externalIPs, loadBalancer }) =>
      clusterIPs.includes(destinationAddress) ||
      externalIPs.includes(destinationAddress) ||
      loadBalancer.some(({ address }) => address === destinationAddress),
  );
  return owners.flatMap((entry) => {
    const { notProxied } = explainService(entry, node);
    const proxied =
      entry.loadBalancer.find(({ address }) => address === destinationAddress)?.mode === 'Proxy';
    const gated = entry.externalIPs.includes(destinationAddress) && !node.allowExternalIPs;
    const why =
      notProxied ??
      (proxied
        ? 'its ipMode is Proxy: the balancer itself gets the traffic'
        : gated
          ? 'externalIPs need the feature gate AllowServiceExternalIPs'
          : undefined);
    return why === undefined ? [] : [{ topic: 'not served', text: `${entry.key}: ${why}` }];
  });
}

function verdictText({ verdict, backends, masquerade, hairpin }: Verdict): string {
  if (verdict === 'pass') return 'pass: the proxy does not touch it';
  if (verdict === 'reject') return 'reject: refused at once';
  if (verdict === 'drop') return 'drop: discarded in silence';
  const to = backends.length === 1 ? `${backends[0]}` : `one of ${backends.join(', ')}`;
  const source = masquerade ? 'source rewritten' : 'source kept';
  const itself = hairpin.length === 0 ? '' : ` (rewritten for ${hairpin.join(', ')}, the client itself)`;
  return `to ${to}, ${source}${itself}`;
}

function agree(a: Verdict, b: Verdict): boolean {
  return (
    a.verdict === b.verdict &&
    a.masquerade === b.masquerade &&
    [...a.backends].sort().join() === [...b.backends].sort().join()
  );
}

/** The packet of a question: `IP[%iface]` and `IP:port/proto`. Undefined when it is none. */
export function parsePacket(from: string, to: string): Packet | undefined {
  const [sender = '', inputInterface] = from.split('%', 2);
  const match = /^(?:\[([^\]]+)\]|([^[\]:]+)):(\d{1,5})\/(tcp|udp|sctp)$/i.exec(to);
  const source = kubeAddress(sender);
  const destination = kubeAddress(match?.[1] ?? match?.[2]);
  const destinationPort = Number(match?.[3]);
  if (!source || !destination || source.family !== destination.family || destinationPort > 65_535)
    return undefined;
  return {
    sourceAddress: source.text,
    inputInterface,
    destinationAddress: destination.text,
    destinationPort,
    protocol: (match?.[4] ?? '').toLowerCase() as Transport,
  };
}
