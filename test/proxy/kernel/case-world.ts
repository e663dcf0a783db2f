import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { canonicalAddress, familyOf, type Family } from '../../../src/net/ip.ts';
import type { DetectLocal, NodeSettings } from '../../../endpoints/node-view.ts';
import { NodeViewTracker } from '../../../endpoints/node-view-tracker.ts';
import { Tracker } from '../../../endpoints/tracker.ts';
import type { Packet, Verdict } from '../../../proxy/backend.ts';
import { textOf } from '../../support/source-files.ts';

export interface ProxyCase {
  readonly id: string;
  readonly from: { readonly ip: string; readonly iface?: string; readonly kind?: string };
  readonly to: string;
  readonly expect: Partial<Verdict> & { readonly verdict: Verdict['verdict'] };
  readonly modes: readonly string[];
  readonly overrides?: Readonly<Record<string, Partial<Verdict>>>;
  readonly quirk?: boolean;
  readonly note?: string;
}

export interface CaseGroup {
  readonly id: string;
  readonly title: string;
  readonly node: {
    readonly name: string;
    readonly zone?: string;
    readonly ips: readonly string[];
    readonly primaryIPs: readonly string[];
    readonly podCIDRs: readonly string[];
    readonly serviceCIDRs: readonly string[];
    readonly detectLocal: {
      readonly mode: string;
      readonly clusterCIDRs?: readonly string[];
      readonly bridgeInterface?: string;
      readonly interfaceNamePrefix?: string;
    };
    readonly proxy: {
      readonly masqueradeAll: boolean;
      readonly localhostNodePorts: boolean;
      readonly nodePortAddresses: readonly string[];
    };
  };
  readonly objects: readonly KubeObject[];
  readonly cases: readonly ProxyCase[];
}

export function caseGroups(): readonly CaseGroup[] {
  return (JSON.parse(textOf('test/cases/proxy.json')) as { groups: readonly CaseGroup[] }).groups;
}

export function nodeSettings(group: CaseGroup, family: Family): NodeSettings {
  const { node } = group;
  const own = (list: readonly string[]): string[] =>
    list.filter((text) => text.includes(':') === (family === 'IPv6'));
  return {
    name: node.name,
    zone: node.zone,
    family,
    addresses: own(node.ips).map((address) => canonicalAddress(address)!),
    primaryAddresses: own(node.primaryIPs).map((address) => canonicalAddress(address)!),
    nodePortAddresses: node.proxy.nodePortAddresses,
    detectLocal: detectLocal(group),
    masqueradeAll: node.proxy.masqueradeAll,
    localhostNodePorts: node.proxy.localhostNodePorts,
    serviceCIDRs: own(node.serviceCIDRs),
    allowExternalIPs: true,
    strict: true,
  };
}

function detectLocal({ node }: CaseGroup): DetectLocal {
  const { mode, clusterCIDRs = [], bridgeInterface = '', interfaceNamePrefix = '' } = node.detectLocal;
  switch (mode) {
    case 'ClusterCIDR':
      return { mode, cidrs: clusterCIDRs };
    case 'NodeCIDR':
      return { mode, cidrs: node.podCIDRs };
    case 'BridgeInterface':
      return { mode, bridge: bridgeInterface };
    case 'InterfaceNamePrefix':
      return { mode, prefix: interfaceNamePrefix };
    default:
      return { mode: 'None' };
  }
}

/** The view of the group's node after all of its objects were seen. */
export function viewOf(group: CaseGroup, family: Family): NodeViewTracker {
  const tracker = new Tracker({ log: silentLogger });
  for (const object of group.objects) tracker.upsert(object);
  tracker.flush();
  const views = new NodeViewTracker(tracker, nodeSettings(group, family));
  views.refresh();
  return views;
}

export function packetOf(each: ProxyCase): { packet: Packet; family: Family } {
  const match = /^\[?([^\]]+?)\]?:(\d+)\/(\w+)$/.exec(each.to);
  if (!match) throw new Error(`no packet in ${each.to}`);
  const destinationAddress = canonicalAddress(match[1]!)!;
  const packet: Packet = {
    sourceAddress: canonicalAddress(each.from.ip)!,
    inputInterface: each.from.iface,
    destinationAddress,
    destinationPort: Number(match[2]),
    protocol: match[3] as Packet['protocol'],
  };
  return { packet, family: familyOf(destinationAddress)! };
}

/** The expectation in one mode. */
export function expectedIn(each: ProxyCase, mode: string): Partial<Verdict> {
  return each.overrides?.[mode] ?? each.expect;
}

/** Keeps of a verdict what the expectation names; backends of a refusal do not matter. */
export function comparable(verdict: Verdict, expected: Partial<Verdict>): Partial<Verdict> {
  return Object.fromEntries(Object.keys(expected).map((key) => [key, verdict[key as keyof Verdict]]));
}

export function sorted(expected: Partial<Verdict>): Partial<Verdict> {
  const copy: Record<string, unknown> = { ...expected };
  for (const key of ['backends', 'hairpin'])
    if (Array.isArray(copy[key])) copy[key] = [...(copy[key] as string[])].sort();
  return copy;
}
