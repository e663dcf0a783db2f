import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import { silentLogger } from '../../src/base/log.ts';
import { familyOf, splitHostPort, type Family } from '../../src/net/ip.ts';
import type { DetectLocal, NodeSettings, NodeView } from '../../endpoints/node-view.ts';
import { NodeViewTracker } from '../../endpoints/node-view-tracker.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import type { Evaluator, Packet, ProxyMode, Verdict } from '../../proxy/backend.ts';

/** The shared cases (format kube-service-proxy-cases/1; conventions are inside the file). */
interface CaseFile {
  readonly groups: readonly CaseGroup[];
  readonly sequences: readonly Sequence[];
  readonly healthChecks: readonly HealthCheck[];
}

export interface CaseGroup {
  readonly id: string;
  readonly title: string;
  readonly node: CaseNode;
  readonly objects: readonly KubeObject[];
  readonly cases: readonly PacketCase[];
}

interface CaseNode {
  readonly name: string;
  readonly zone?: string;
  readonly ips: readonly string[];
  readonly primaryIPs: readonly string[];
  readonly podCIDRs: readonly string[];
  readonly serviceCIDRs: readonly string[];
  readonly detectLocal: {
    readonly mode: DetectLocal['mode'];
    readonly clusterCIDRs?: readonly string[];
    readonly prefix?: string;
    readonly interfaceNamePrefix?: string;
    readonly bridgeInterface?: string;
    readonly bridge?: string;
  };
  readonly proxy: {
    readonly masqueradeAll: boolean;
    readonly localhostNodePorts: boolean;
    readonly nodePortAddresses: readonly string[];
  };
}

interface Expectation {
  readonly verdict: Verdict['verdict'];
  readonly backends: readonly string[];
  readonly masquerade: boolean;
  readonly hairpin?: readonly string[];
  readonly affinity: 'ClientIP' | null;
}

export interface PacketCase {
  readonly id: string;
  readonly from: { readonly ip: string; readonly iface?: string; readonly kind?: string };
  readonly to: string;
  readonly expect: Expectation;
  readonly modes: readonly ProxyMode[];
  readonly overrides?: Partial<Record<ProxyMode, Expectation>>;
  readonly note: string;
}

export type SequenceStep = { readonly at: number } & (
  | {
      readonly do: 'connect';
      readonly from: string;
      readonly to: string;
      readonly as: string;
      readonly count?: number;
      readonly sourcePort?: number;
    }
  | { readonly do: 'apply'; readonly object: KubeObject }
  | { readonly do: 'delete'; readonly object: KubeObject }
  | { readonly do: 'removeEndpointOf'; readonly of: string; readonly service: string }
  | {
      readonly do: 'setEndpointOf';
      readonly of: string;
      readonly service: string;
      readonly conditions: Readonly<Record<string, boolean>>;
    }
);

export interface SequenceRule {
  readonly rule: string;
  readonly of: string | readonly string[];
  readonly is?: unknown;
  readonly set?: readonly string[];
  readonly compare?: string;
  readonly each?: Readonly<Record<string, readonly [number, number]>>;
}

export interface Sequence {
  readonly id: string;
  readonly group: string;
  readonly title: string;
  readonly modes: readonly ProxyMode[];
  readonly steps: readonly SequenceStep[];
  readonly expect: readonly SequenceRule[];
}

export interface HealthCheck {
  readonly id: string;
  readonly group: string;
  readonly service: string;
  readonly port: number;
  readonly family: Family;
  readonly proxyHealthy: boolean;
  readonly expect: {
    readonly status: number | null;
    readonly localEndpoints?: number;
    readonly serviceProxyHealthy?: boolean;
    readonly header?: Readonly<Record<string, string>>;
    readonly contentType?: string;
  };
}

function readCases(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../cases/${name}.json`, import.meta.url), 'utf8'));
}

const SHARED = readCases('proxy') as CaseFile;
const COMBINED = readCases('proxy-combined') as Pick<CaseFile, 'groups'>;

export const PROXY_CASES: CaseFile = { ...SHARED, groups: [...SHARED.groups, ...COMBINED.groups] };

/** A case's world: the model filled with its objects, and the views of its node. */
export class CaseWorld {
  readonly tracker = new Tracker({ log: silentLogger });
  readonly settings: readonly NodeSettings[];
  readonly trackers: readonly NodeViewTracker[];

  readonly group: CaseGroup;

  constructor(group: CaseGroup) {
    this.group = group;
    for (const object of group.objects) this.tracker.upsert(object);
    this.tracker.flush();
    this.settings = (['IPv4', 'IPv6'] as const).map((family) => caseSettings(group, family));
    this.trackers = this.settings.map((settings) => new NodeViewTracker(this.tracker, settings));
  }

  /** The views of both families, up to date with the tracker. */
  views(): readonly NodeView[] {
    this.tracker.flush();
    return this.trackers.map((tracker) => tracker.refresh().view);
  }
}

function caseSettings({ node, objects }: CaseGroup, family: Family): NodeSettings {
  const ofFamily = (text: string): boolean => familyOf(text.split('/')[0] ?? '') === family;
  const self = objects.find(({ kind, metadata }) => kind === 'Node' && metadata.name === node.name);
  const zoneLabel = self?.metadata.labels?.['topology.kubernetes.io/zone'];
  return {
    name: node.name,
    zone: node.zone ?? zoneLabel,
    family,
    addresses: node.ips.filter(ofFamily),
    primaryAddresses: node.primaryIPs.filter(ofFamily),
    nodePortAddresses: node.proxy.nodePortAddresses,
    detectLocal: caseDetectLocal(node),
    masqueradeAll: node.proxy.masqueradeAll,
    localhostNodePorts: node.proxy.localhostNodePorts,
    serviceCIDRs: node.serviceCIDRs.filter(ofFamily),
    allowExternalIPs: true,
    strict: true,
  };
}

function caseDetectLocal({ detectLocal, podCIDRs }: CaseNode): DetectLocal {
  switch (detectLocal.mode) {
    case 'ClusterCIDR':
      return { mode: 'ClusterCIDR', cidrs: detectLocal.clusterCIDRs ?? [] };
    case 'NodeCIDR':
      return { mode: 'NodeCIDR', cidrs: podCIDRs };
    case 'BridgeInterface':
      return { mode: 'BridgeInterface', bridge: detectLocal.bridgeInterface ?? detectLocal.bridge ?? '' };
    case 'InterfaceNamePrefix':
      return {
        mode: 'InterfaceNamePrefix',
        prefix: detectLocal.interfaceNamePrefix ?? detectLocal.prefix ?? '',
      };
    case 'None':
    default:
      return { mode: 'None' };
  }
}

export function packetOf(from: string, to: string, inputInterface?: string): Packet {
  const [place = '', protocol = ''] = to.split('/');
  const { host, port } = splitHostPort(place) ?? { host: '', port: 0 };
  return {
    sourceAddress: from,
    inputInterface,
    destinationAddress: host,
    destinationPort: port,
    protocol: protocol as Packet['protocol'],
  };
}

export interface EvaluatorCasesOptions {
  readonly mode: ProxyMode;
  /** Builds an evaluator over what the mode makes of the views (both families). */
  readonly evaluator: (views: readonly NodeView[]) => Evaluator;
  /** Cases this mode answers otherwise on purpose, with the reason. */
  readonly deviations?: Readonly<Record<string, string>>;
}

/** Every packet case that names the mode, each a test of its own. */
export function evaluatorCases(options: EvaluatorCasesOptions): void {
  const { mode } = options;
  for (const group of PROXY_CASES.groups) {
    const cases = group.cases.filter(({ modes, id }) => modes.includes(mode) && !options.deviations?.[id]);
    if (cases.length === 0) continue;
    describe(`${mode}: ${group.title}`, () => {
      const evaluator = options.evaluator(new CaseWorld(group).views());
      test.each(cases)('$id: $note', ({ from, to, expect: common, overrides }) => {
        const expected = overrides?.[mode] ?? common;
        const found = evaluator.evaluate(packetOf(from.ip, to, from.iface));
        expect(comparable(found, mode)).toEqual(comparable({ hairpin: [], ...expected }, mode));
      });
    });
  }
}

/** Sets become sorted lists; a userspace proxy never keeps the source, so masquerading says nothing there. */
function comparable(verdict: Verdict | Required<Expectation>, mode: ProxyMode): unknown {
  const { affinity, masquerade, hairpin } = verdict;
  const backends = [...verdict.backends].sort();
  if (mode === 'userspace') return { verdict: verdict.verdict, backends, affinity };
  return { verdict: verdict.verdict, backends, affinity, masquerade, hairpin: [...hairpin].sort() };
}
