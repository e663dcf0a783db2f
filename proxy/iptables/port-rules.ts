import type { EndpointAddressPort, NodeSettings, ServicePortView } from '../../endpoints/node-view.ts';
import { transportOf } from '../../src/api/kinds/meta.ts';
import { cidrContains, hostCidr, parseCidr } from '../../src/net/cidr.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { Match, Rule, Target } from '../../src/net/iptables-rule.ts';
import { endpointChain, KUBE, portChains, portName } from './chain-names.ts';
import { COUNTER } from './packet-counts.ts';
import { podMatch } from './pod-match.ts';

/** The rules one service port adds to the shared chains, and the chains it has of its own (all in nat). */
export interface PortRules {
  readonly natServices: readonly Rule[];
  readonly natNodePorts: readonly Rule[];
  readonly filterServices: readonly Rule[];
  readonly filterExternalServices: readonly Rule[];
  readonly filterProxyFirewall: readonly Rule[];
  readonly filterNodePorts: readonly Rule[];
  readonly chains: ReadonlyMap<string, readonly Rule[]>;
}

export interface CompileOptions {
  readonly node: NodeSettings;
  /** Large clusters leave out the comments of per-endpoint rules: about 40 % less text. */
  readonly endpointComments: boolean;
  readonly affinity: AffinityStore;
  /** Node ports on 127.0.0.0/8 are counted. */
  readonly countLocalhost: boolean;
}

/**
 * Where clients with session affinity are remembered: kube-proxy's `recent` lists, which hold as many clients as
 * a parameter of the kernel's module says (100 unless told), or ipsets with a timeout.
 */
export type AffinityStore = 'recent' | 'ipset';

interface Port {
  readonly view: ServicePortView;
  readonly options: CompileOptions;
  readonly chains: ReturnType<typeof portChains>;
  /** Chain by `address port`, hashed once. */
  readonly endpointChains: Map<string, string>;
  readonly usesCluster: boolean;
  readonly usesLocal: boolean;
  readonly internalReachable: boolean;
  readonly externalReachable: boolean;
  readonly hasExternalChain: boolean;
  readonly hasFirewall: boolean;
}

const jump = (chain: string): Target => ({ kind: 'jump', chain });
const to = (view: ServicePortView, address: string, port = view.port): Match[] => [
  { kind: 'protocol', protocol: transportOf(view.protocol) },
  { kind: 'destination', cidr: hostCidr(address) },
  { kind: 'destination-port', port },
];

/** Compiles one port with kube-proxy's chain layout. Pure. */
export function compilePort(view: ServicePortView, options: CompileOptions): PortRules {
  const port = describe(view, options);
  const chains = new Map<string, readonly Rule[]>();
  const sides = [
    [port.usesCluster, port.chains.cluster, view.clusterEndpoints, !view.internalLocal],
    [port.usesLocal, port.chains.local, view.localEndpoints, view.internalLocal],
  ] as const;
  for (const [used, chain, endpoints, internal] of sides) {
    if (!used) continue;
    chains.set(chain, [...(internal ? clusterMasquerade(port) : []), ...choose(port, endpoints)]);
    for (const endpoint of endpoints) chains.set(chainOf(port, endpoint), endpointRules(port, endpoint));
  }
  if (port.hasExternalChain) chains.set(port.chains.external, externalRules(port));
  if (port.hasFirewall) chains.set(port.chains.firewall, firewallRules(port));
  return { ...entryRules(port), ...refusalRules(port), chains };
}

function chainOf(port: Port, endpoint: EndpointAddressPort): string {
  const id = `${endpoint.address} ${endpoint.port}`;
  let chain = port.endpointChains.get(id);
  if (chain === undefined) port.endpointChains.set(id, (chain = endpointChain(port.view, endpoint)));
  return chain;
}

function describe(view: ServicePortView, options: CompileOptions): Port {
  const usesLocal = view.localEndpoints.length > 0 && (view.internalLocal || view.externalLocal);
  const external = view.nodePort > 0 || view.externalIPs.length > 0 || view.loadBalancerIPs.length > 0;
  const usesCluster = view.clusterEndpoints.length > 0 && (!view.internalLocal || external);
  return {
    view,
    options,
    chains: portChains(view),
    endpointChains: new Map(),
    usesCluster,
    usesLocal,
    internalReachable: view.internalLocal ? usesLocal : usesCluster,
    externalReachable: view.externalLocal ? usesLocal : usesCluster,
    hasExternalChain: external && (usesCluster || usesLocal),
    hasFirewall:
      view.sourceRanges.length > 0 && view.loadBalancerIPs.length > 0 && (usesCluster || usesLocal),
  };
}

/** Where packets enter: one rule an address in KUBE-SERVICES, one a node port in KUBE-NODEPORTS. */
function entryRules(port: Port): Pick<PortRules, 'natServices' | 'natNodePorts'> {
  const { view } = port;
  const natServices: Rule[] = [];
  const add = (what: string, address: string, chain: string): void =>
    void natServices.push({
      comment: `${portName(view)} ${what}`,
      matches: to(view, address),
      target: jump(chain),
    });
  if (view.clusterIP !== undefined && port.internalReachable) {
    add('cluster IP', view.clusterIP, view.internalLocal ? port.chains.local : port.chains.cluster);
  }
  if (!port.hasExternalChain) return { natServices, natNodePorts: [] };
  for (const address of view.externalIPs) add('external IP', address, port.chains.external);
  const balanced = port.hasFirewall ? port.chains.firewall : port.chains.external;
  for (const address of view.loadBalancerIPs) add('loadbalancer IP', address, balanced);
  if (view.nodePort === 0) return { natServices, natNodePorts: [] };
  const matches: Match[] = [
    { kind: 'protocol', protocol: transportOf(view.protocol) },
    { kind: 'destination-port', port: view.nodePort },
  ];
  const rule: Rule = { comment: portName(view), matches, target: jump(port.chains.external) };
  const counting: Match[] = [
    { kind: 'destination', cidr: '127.0.0.0/8' },
    { kind: 'nfacct', name: COUNTER.localhostAccepted },
  ];
  const counted = { ...rule, matches: [...matches, ...counting] };
  return { natServices, natNodePorts: port.options.countLocalhost ? [counted, rule] : [rule] };
}

/** What cannot be reached is refused (no endpoint anywhere) or dropped (endpoints, but none where the policy asks). */
function refusalRules(port: Port): Omit<PortRules, 'natServices' | 'natNodePorts' | 'chains'> {
  const { view } = port;
  const filterServices: Rule[] = [];
  const filterExternalServices: Rule[] = [];
  const target: Target = { kind: view.anyEndpoints ? 'drop' : 'reject' };
  const comment = `${portName(view)} has no ${view.anyEndpoints ? 'local ' : ''}endpoints`;
  if (view.clusterIP !== undefined && !port.internalReachable) {
    filterServices.push({ comment, matches: to(view, view.clusterIP), target });
  }
  if (!port.externalReachable) {
    for (const address of [...view.externalIPs, ...view.loadBalancerIPs]) {
      filterExternalServices.push({ comment, matches: to(view, address), target });
    }
    if (view.nodePort > 0) filterExternalServices.push({ comment, matches: toNodePort(view), target });
  }
  const filterProxyFirewall: Rule[] = (port.hasFirewall ? view.loadBalancerIPs : []).map((address) => ({
    comment: `${portName(view)} traffic not accepted by ${port.chains.firewall}`,
    matches: to(view, address),
    target: { kind: 'drop' },
  }));
  return { filterServices, filterExternalServices, filterProxyFirewall, filterNodePorts: healthRules(view) };
}

function toNodePort(view: ServicePortView): Match[] {
  return [
    { kind: 'protocol', protocol: transportOf(view.protocol) },
    { kind: 'address-type', side: 'destination' },
    { kind: 'destination-port', port: view.nodePort },
  ];
}

function healthRules(view: ServicePortView): Rule[] {
  if (view.healthCheckNodePort === 0) return [];
  const matches: Match[] = [
    { kind: 'protocol', protocol: 'tcp' },
    { kind: 'destination-port', port: view.healthCheckNodePort },
  ];
  return [{ comment: `${portName(view)} health check node port`, matches, target: { kind: 'accept' } }];
}

function clusterMasquerade({ view, options }: Port): Rule[] {
  if (view.clusterIP === undefined) return [];
  const notPod = podMatch(options.node, true);
  const matches = to(view, view.clusterIP);
  const rule = { comment: `${portName(view)} cluster IP`, target: jump(KUBE.markMasq) };
  if (options.node.masqueradeAll) return [{ ...rule, matches }];
  return notPod ? [{ ...rule, matches: [...matches, notPod] }] : [];
}

function choose(port: Port, endpoints: readonly EndpointAddressPort[]): Rule[] {
  const { view, options } = port;
  const comment = (endpoint: EndpointAddressPort): { comment?: string } =>
    options.endpointComments
      ? { comment: `${portName(view)} -> ${joinHostPort(endpoint.address, endpoint.port)}` }
      : {};
  const rules: Rule[] = [];
  for (const endpoint of view.affinitySeconds > 0 ? endpoints : []) {
    const chain = chainOf(port, endpoint);
    const matches: Match[] = [
      options.affinity === 'recent'
        ? { kind: 'recent-check', list: chain, seconds: view.affinitySeconds }
        : { kind: 'set', name: affinitySet(view, endpoint), sides: ['src'] },
    ];
    rules.push({ ...comment(endpoint), matches, target: jump(chain) });
  }
  endpoints.forEach((endpoint, index) => {
    const left = endpoints.length - index;
    const matches: Match[] = left > 1 ? [{ kind: 'statistic', probability: 1 / left }] : [];
    rules.push({ ...comment(endpoint), matches, target: jump(chainOf(port, endpoint)) });
  });
  return rules;
}

function endpointRules(port: Port, endpoint: EndpointAddressPort): Rule[] {
  const { view, options } = port;
  const comment = options.endpointComments ? { comment: portName(view) } : {};
  const chain = chainOf(port, endpoint);
  const sticky = view.affinitySeconds > 0 ? options.affinity : undefined;
  const protocol: Match = { kind: 'protocol', protocol: transportOf(view.protocol) };
  const remember: Rule = {
    ...comment,
    matches: [protocol],
    target: {
      kind: 'set-add',
      name: affinitySet(view, endpoint),
      sides: ['src'],
      timeoutSeconds: view.affinitySeconds,
    },
  };
  return [
    {
      ...comment,
      matches: [{ kind: 'source', cidr: hostCidr(endpoint.address) }],
      target: jump(KUBE.markMasq),
    },
    ...(sticky === 'ipset' ? [remember] : []),
    {
      ...comment,
      matches: sticky === 'recent' ? [protocol, { kind: 'recent-set', list: chain }] : [protocol],
      target: { kind: 'dnat', address: endpoint.address, port: endpoint.port },
    },
  ];
}

/** Names of the ipsets that a port's rules refer to, when clients are remembered in such. */
export function affinitySets(view: ServicePortView): readonly string[] {
  if (view.affinitySeconds === 0) return [];
  return [...view.clusterEndpoints, ...view.localEndpoints].map((endpoint) => affinitySet(view, endpoint));
}

/** The chain's name; the families' sets are told apart, because a kernel has one list of sets for both. */
function affinitySet(view: ServicePortView, endpoint: EndpointAddressPort): string {
  const chain = endpointChain(view, endpoint);
  return endpoint.address.includes(':') ? chain.replace('KUBE-', 'KUBE-6-') : chain;
}

/** The entry for external traffic: masquerade and go anywhere, or (policy Local) keep the source and stay here. */
function externalRules(port: Port): Rule[] {
  const { view, options, chains } = port;
  const rules: Rule[] = [];
  const fromHost: Match = { kind: 'address-type', side: 'source' };
  if (!view.externalLocal) {
    rules.push({
      comment: `masquerade traffic for ${portName(view)} external destinations`,
      matches: [],
      target: jump(KUBE.markMasq),
    });
  } else if (port.usesCluster) {
    const fromPod = podMatch(options.node, false);
    if (fromPod) {
      rules.push({
        comment: `pod traffic for ${portName(view)} external destinations`,
        matches: [fromPod],
        target: jump(chains.cluster),
      });
    }
    rules.push(
      {
        comment: `masquerade LOCAL traffic for ${portName(view)} external destinations`,
        matches: [fromHost],
        target: jump(KUBE.markMasq),
      },
      {
        comment: `route LOCAL traffic for ${portName(view)} external destinations`,
        matches: [fromHost],
        target: jump(chains.cluster),
      },
    );
  }
  if (port.externalReachable)
    rules.push({ matches: [], target: jump(view.externalLocal ? chains.local : chains.cluster) });
  return rules;
}

function firewallRules({ view, options, chains }: Port): Rule[] {
  const comment = `${portName(view)} loadbalancer IP`;
  const allow = (cidr: string): Rule => ({
    comment,
    matches: [{ kind: 'source', cidr }],
    target: jump(chains.external),
  });
  const rules = view.sourceRanges.map(allow);
  // a node inside the ranges may carry the address itself and then speaks with it as its source
  const admitsNode = view.sourceRanges.some((range) => {
    const cidr = parseCidr(range);
    return cidr && options.node.addresses.some((address) => cidrContains(cidr, address));
  });
  if (admitsNode) rules.push(...view.loadBalancerIPs.map((address) => allow(hostCidr(address))));
  // for people: what came as far as here is dropped elsewhere
  const rest = `other traffic to ${portName(view)} will be dropped by ${KUBE.proxyFirewall}`;
  return [...rules, { comment: rest, matches: [], target: { kind: 'none' } }];
}
