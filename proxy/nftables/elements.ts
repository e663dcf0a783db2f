import type { EndpointAddressPort, NodeSettings, ServicePortView } from '../../endpoints/node-view.ts';
import { transportOf } from '../../src/api/kinds/meta.ts';
import { cidrContains, parseCidr } from '../../src/net/cidr.ts';

/**
 * Names of the maps and sets, with the nft key and value types. `{a}` is ipv4_addr or ipv6_addr. `{count}` makes each
 * element count the packets that met it: the first ones of connections.
 */
export const DECLARATIONS: Readonly<Record<string, string>> = {
  'service-groups': 'map {typeof {ip} daddr . meta l4proto . th dport : meta priority;}',
  'service-verdicts': 'map {type {a} . inet_proto . inet_service : verdict;{count}}',
  'local-service-groups': 'map {typeof {ip} daddr . meta l4proto . th dport : meta priority;}',
  'local-service-verdicts': 'map {type {a} . inet_proto . inet_service : verdict;{count}}',
  'nodeport-groups': 'map {typeof meta l4proto . th dport : meta priority;}',
  'nodeport-verdicts': 'map {type inet_proto . inet_service : verdict;{count}}',
  'local-nodeport-groups': 'map {typeof meta l4proto . th dport : meta priority;}',
  'local-nodeport-verdicts': 'map {type inet_proto . inet_service : verdict;{count}}',
  endpoints: 'map {typeof meta priority . numgen random mod 65536 : {ip} daddr . th dport;{count}}',
  'affinity-timeouts': 'map {typeof meta priority : verdict;}',
  'no-endpoint-services': 'map {type {a} . inet_proto . inet_service : verdict;{count}}',
  'no-endpoint-nodeports': 'map {type inet_proto . inet_service : verdict;{count}}',
  'external-services': 'set {type {a} . inet_proto . inet_service;}',
  'local-services': 'set {type {a} . inet_proto . inet_service;}',
  'external-nodeports': 'set {type inet_proto . inet_service;}',
  'local-nodeports': 'set {type inet_proto . inet_service;}',
  'firewall-services': 'set {type {a} . inet_proto . inet_service;}',
  'firewall-sources': 'set {type {a} . inet_proto . inet_service . {a}; flags interval;}',
  'cluster-ips': 'set {type {a};}',
  'hairpin-connections': 'set {type {a} . {a};}',
};

/** Sets whose content is the node's, not a service's. */
export const NODE_DECLARATIONS: Readonly<Record<string, string>> = {
  'nodeport-ips': 'set {type {a}; flags interval;}',
  state: 'set {type mark;}',
};

/** Elements of one service port: `MAP KEY` -> value; the value of a set's element is ''. */
export type Elements = Map<string, string>;

/** The ids of a port's two endpoint groups; 0 = the group is empty. Never reused while weft runs. */
export interface Groups {
  readonly cluster: number;
  readonly local: number;
}

/** Separates the map's name from the element's key. No nft name or key holds it. */
export const FIELD = '|';

/**
 * Compiles one service port. Pure. `slots` keeps each group's endpoints in their places, so that one endpoint
 * more or less rewrites one or two elements and not all.
 */
export function compileElements(
  view: ServicePortView,
  groups: Groups,
  slots: { readonly cluster: readonly string[]; readonly local: readonly string[] },
  node: NodeSettings,
): Elements {
  const elements: Elements = new Map();
  const put = (map: string, key: string, value = ''): void => void elements.set(map + FIELD + key, value);
  const protocol = transportOf(view.protocol);
  addGroup(put, groups.cluster, slots.cluster, view.affinitySeconds);
  addGroup(put, groups.local, slots.local, view.affinitySeconds);
  if (view.clusterIP !== undefined)
    addClusterIP(put, view, groups, slots, `${view.clusterIP} . ${protocol} . ${view.port}`);
  for (const address of [...view.externalIPs, ...view.loadBalancerIPs]) {
    addExternal(put, view, groups, slots, 'service', `${address} . ${protocol} . ${view.port}`);
  }
  if (view.nodePort > 0) addExternal(put, view, groups, slots, 'nodeport', `${protocol} . ${view.nodePort}`);
  for (const address of view.sourceRanges.length > 0 ? view.loadBalancerIPs : []) {
    const key = `${address} . ${protocol} . ${view.port}`;
    put('firewall-services', key);
    for (const range of view.sourceRanges) put('firewall-sources', `${key} . ${range}`);
    // a node inside the ranges may carry the address itself and then speaks with it as its source
    if (admitsNode(view.sourceRanges, node)) put('firewall-sources', `${key} . ${address}`);
  }
  for (const endpoint of [...view.clusterEndpoints, ...view.localEndpoints]) {
    if (endpoint.maybeLocal) put('hairpin-connections', `${endpoint.address} . ${endpoint.address}`);
  }
  return elements;
}

function admitsNode(ranges: readonly string[], node: NodeSettings): boolean {
  const cidrs = ranges.map(parseCidr).filter((cidr) => cidr !== undefined);
  return node.addresses.some((address) => cidrs.some((cidr) => cidrContains(cidr, address)));
}

type Put = (map: string, key: string, value?: string) => void;
type Slots = { readonly cluster: readonly string[]; readonly local: readonly string[] };

function addGroup(put: Put, group: number, slots: readonly string[], affinitySeconds: number): void {
  if (group === 0) return;
  slots.forEach((endpoint, index) => put('endpoints', `${group} . ${index}`, endpoint));
  if (affinitySeconds > 0) put('affinity-timeouts', String(group), `goto t-${affinitySeconds}`);
}

function addClusterIP(put: Put, view: ServicePortView, groups: Groups, slots: Slots, key: string): void {
  put('cluster-ips', view.clusterIP!);
  const group = view.internalLocal ? groups.local : groups.cluster;
  const count = view.internalLocal ? slots.local.length : slots.cluster.length;
  addTarget(put, 'service', key, group, count, view);
  if (count === 0) put('no-endpoint-services', key, refusal(view));
}

function addExternal(
  put: Put,
  view: ServicePortView,
  groups: Groups,
  slots: Slots,
  kind: 'service' | 'nodeport',
  key: string,
): void {
  addTarget(put, kind, key, groups.cluster, slots.cluster.length, view);
  put(`${view.externalLocal ? 'local' : 'external'}-${kind}s`, key);
  if (view.externalLocal) addTarget(put, `local-${kind}`, key, groups.local, slots.local.length, view);
  const reachable = view.externalLocal ? slots.local.length : slots.cluster.length;
  if (reachable === 0) put(`no-endpoint-${kind}s`, key, refusal(view));
}

function addTarget(
  put: Put,
  kind: string,
  key: string,
  group: number,
  count: number,
  view: ServicePortView,
): void {
  if (count === 0) return;
  put(`${kind}-groups`, key, String(group));
  put(`${kind}-verdicts`, key, `goto ${view.affinitySeconds > 0 ? 'a' : 's'}-${count}`);
}

/** Usable endpoints elsewhere: the packet came to the wrong node, drop it. None at all: say so at once. */
function refusal(view: ServicePortView): string {
  return view.anyEndpoints ? 'drop' : 'goto reject-chain';
}

/** `address . port`, the value of an endpoints element. */
export function endpointValue(endpoint: EndpointAddressPort): string {
  return `${endpoint.address} . ${endpoint.port}`;
}

/**
 * Places `wanted` into slots that change as little as possible: kept endpoints stay where they are, new ones fill
 * the holes, and holes left over are closed by moving the last ones down. The result is dense.
 */
export function assignSlots(previous: readonly string[], wanted: readonly string[]): readonly string[] {
  const incoming = new Set(wanted);
  const slots = previous.map((value) => (incoming.delete(value) ? value : undefined));
  const fresh = [...incoming];
  for (let index = 0; index < slots.length && fresh.length > 0; index++) slots[index] ??= fresh.shift();
  slots.push(...fresh);
  for (let index = 0; index < slots.length; index++) {
    while (slots.length > index && slots.at(-1) === undefined) slots.pop();
    if (index < slots.length) slots[index] ??= slots.pop();
  }
  return slots.filter((value) => value !== undefined);
}
