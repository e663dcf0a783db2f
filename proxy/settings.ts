import type { DetectLocal, NodeSettings } from '../endpoints/node-view.ts';
import type { NodeEntry } from '../endpoints/snapshot.ts';
import { type Family, familyOf } from '../src/net/ip.ts';
import type { ProxyMode } from './backend.ts';

/** What the proxy of one node was told, both families together. */
export interface ProxySettings {
  readonly mode: ProxyMode;
  readonly nodeName: string;
  /** Families to serve; one that the host lacks is left out by the caller. */
  readonly families: readonly Family[];
  readonly detectLocal: DetectLocal;
  readonly masqueradeAll: boolean;
  readonly localhostNodePorts: boolean;
  /** CIDRs, the word `primary`, or empty for the mode's default. */
  readonly nodePortAddresses: readonly string[];
  readonly serviceCIDRs: readonly string[];
  /** The feature gate AllowServiceExternalIPs. */
  readonly allowExternalIPs: boolean;
  /** See NodeSettings.strict. */
  readonly strict?: boolean;
}

/** The settings of `weft up`: nothing but loopback, no pods to tell apart. */
export const SETTINGS_DEFAULT: Omit<ProxySettings, 'mode' | 'nodeName'> = {
  families: ['IPv4', 'IPv6'],
  detectLocal: { mode: 'None' },
  masqueradeAll: false,
  localhostNodePorts: true,
  nodePortAddresses: [],
  serviceCIDRs: [],
  allowExternalIPs: false,
};

/** Combines what was told with what the host and its Node object say. */
export function nodeSettings(
  settings: ProxySettings,
  family: Family,
  hostAddresses: readonly string[],
  node: NodeEntry | undefined,
): NodeSettings {
  const ofFamily = (address: string): boolean => familyOf(address.split('/')[0] ?? '') === family;
  const addresses = hostAddresses.filter(ofFamily);
  const primary = (node?.addresses ?? []).filter(ofFamily);
  return {
    name: settings.nodeName,
    zone: node?.zone,
    family,
    addresses,
    primaryAddresses: primary.length > 0 ? primary.slice(0, 1) : addresses.slice(0, 1),
    nodePortAddresses: settings.nodePortAddresses.filter((word) => word === 'primary' || ofFamily(word)),
    detectLocal: detectLocalOf(settings.detectLocal, node),
    masqueradeAll: settings.masqueradeAll,
    localhostNodePorts: settings.localhostNodePorts,
    serviceCIDRs: settings.serviceCIDRs.filter(ofFamily),
    allowExternalIPs: settings.allowExternalIPs,
    strict: settings.strict ?? false,
  };
}

/** NodeCIDR means the Node object's own pod CIDRs. */
function detectLocalOf(detectLocal: DetectLocal, node: NodeEntry | undefined): DetectLocal {
  if (detectLocal.mode !== 'NodeCIDR' || detectLocal.cidrs.length > 0) return detectLocal;
  return { mode: 'NodeCIDR', cidrs: node?.podCIDRs ?? [] };
}
