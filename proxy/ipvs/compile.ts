import type { EndpointAddressPort, NodeSettings, ServicePortView } from '../../endpoints/node-view.ts';
import { transportOf } from '../../src/api/kinds/meta.ts';
import { cidrContains, parseCidr } from '../../src/net/cidr.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { type IpvsServer, serverKey, type ServerKey } from '../../src/net/ipvs.ts';
import { type EntranceKind } from '../packet/decide.ts';
import { entrancesOf } from '../packet/entrances.ts';
import { MODE_TRAITS, type ModeTraits, traitsOf } from '../mode-traits.ts';
import { nodePortAddresses } from '../packet/node-ports.ts';
import type { SetKind } from './names.ts';

/** A virtual server and where it sends to, `ip:port`. */
export interface VirtualServer extends IpvsServer {
  readonly reals: readonly string[];
}

/** What one service port has in the kernel. Set entries are `KIND|ENTRY`. */
export interface CompiledPort {
  readonly entries: ReadonlySet<string>;
  readonly servers: ReadonlyMap<ServerKey, VirtualServer>;
  /** To be bound on the dummy device. */
  readonly addresses: ReadonlySet<string>;
}

export interface CompileOptions {
  readonly node: NodeSettings;
  readonly scheduler: string;
}

/** Separates the set's kind from the entry. */
export const FIELD = '|';

/** Compiles one service port with kube-proxy's sets. Pure. */
export function compilePort(view: ServicePortView, options: CompileOptions): CompiledPort {
  const { node } = options;
  const traits = traitsOf('ipvs', node.strict);
  const entries = new Set<string>();
  const servers = new Map<ServerKey, VirtualServer>();
  const addresses = new Set<string>();
  const put = (kind: SetKind, entry: string): void => void entries.add(kind + FIELD + entry);
  const protocol = transportOf(view.protocol);
  for (const { kind, address, port } of entrancesOf(view, nodePortAddresses(node, traits))) {
    const reals = endpointsFor(view, kind, traits).map((endpoint) =>
      joinHostPort(endpoint.address, endpoint.port),
    );
    servers.set(serverKey(protocol, address, port), { ...serverOf(view, options), reals });
    if (kind !== 'node-port') putAddress(put, view, kind, address, { node, traits });
    if (kind !== 'node-port' && !node.addresses.includes(address)) {
      addresses.add(address);
      put('IPVS-IPS', address);
    }
  }
  if (view.nodePort > 0) putNodePort(put, view, node);
  if (view.healthCheckNodePort > 0) put('HEALTH-CHECK-NODE-PORT', String(view.healthCheckNodePort));
  for (const endpoint of [...view.clusterEndpoints, ...view.localEndpoints])
    put('LOOP-BACK', `${endpoint.address},${protocol}:${endpoint.port},${endpoint.address}`);
  return { entries, servers, addresses };
}

/** policy Local without a local endpoint uses the cluster's; internally it leaves the virtual server empty (see traits). */
function endpointsFor(
  view: ServicePortView,
  kind: EntranceKind,
  { noLocalInternal }: ModeTraits,
): readonly EndpointAddressPort[] {
  const isLocal = kind === 'cluster-ip' ? view.internalLocal : view.externalLocal;
  const keepsEmpty = kind === 'cluster-ip' && noLocalInternal !== 'cluster';
  const local = isLocal && (keepsEmpty || view.localEndpoints.length > 0);
  return local ? view.localEndpoints : view.clusterEndpoints;
}

function serverOf({ affinitySeconds }: ServicePortView, { scheduler }: CompileOptions): IpvsServer {
  // the Maglev hash of the source's address and port
  return { scheduler, persistSeconds: affinitySeconds, flags: scheduler === 'mh' ? 'mh-port' : '' };
}

type Put = (kind: SetKind, entry: string) => void;

function putAddress(
  put: Put,
  view: ServicePortView,
  kind: EntranceKind,
  address: string,
  { node, traits }: { readonly node: NodeSettings; readonly traits: ModeTraits },
): void {
  const entry = `${address},${transportOf(view.protocol)}:${view.port}`;
  if (kind === 'cluster-ip') return put('CLUSTER-IP', entry);
  if (kind === 'external-ip') return put(view.externalLocal ? 'EXTERNAL-IP-LOCAL' : 'EXTERNAL-IP', entry);
  put('LOAD-BALANCER', entry);
  if (view.externalLocal) put('LOAD-BALANCER-LOCAL', entry);
  // without endpoints everybody is told so, whatever the ranges say (see traits)
  if (view.sourceRanges.length === 0 || !(view.anyEndpoints || traits.rangesBeforeEmpty)) return;
  put('LOAD-BALANCER-FW', entry);
  for (const range of view.sourceRanges) put('LOAD-BALANCER-SOURCE-CIDR', `${entry},${range}`);
  // a node inside the ranges carries the address itself and then speaks with it as its source
  if (admitsNode(view.sourceRanges, node)) put('LOAD-BALANCER-SOURCE-IP', `${entry},${address}`);
}

function admitsNode(ranges: readonly string[], node: NodeSettings): boolean {
  const cidrs = ranges.map(parseCidr).filter((cidr) => cidr !== undefined);
  return node.addresses.some((address) => cidrs.some((cidr) => cidrContains(cidr, address)));
}

function putNodePort(put: Put, view: ServicePortView, node: NodeSettings): void {
  const { nodePort, protocol, externalLocal } = view;
  if (protocol === 'SCTP') {
    for (const address of nodePortAddresses(node, MODE_TRAITS.ipvs)) {
      put('NODE-PORT-SCTP-HASH', `${address},sctp:${nodePort}`);
      if (externalLocal) put('NODE-PORT-LOCAL-SCTP-HASH', `${address},sctp:${nodePort}`);
    }
    return;
  }
  put(`NODE-PORT-${protocol}`, String(nodePort));
  if (externalLocal) put(`NODE-PORT-LOCAL-${protocol}`, String(nodePort));
}
