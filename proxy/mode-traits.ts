import type { ProxyMode } from './backend.ts';

/**
 * What the modes do differently, as data; all else is the same for every mode. The reference is kube-proxy's
 * iptables mode; each deviation is documented upstream (nftables: KEP-3866 and KEP-6032, ipvs: its proxier).
 */
export interface ModeTraits {
  /** Under externalTrafficPolicy Local pods and the node itself reach all endpoints by external addresses. */
  readonly shortCircuit: boolean;
  /** Policy Local without a local endpoint: nothing, or the cluster's endpoints. */
  readonly noLocalExternal: 'drop' | 'cluster';
  readonly noLocalInternal: 'drop' | 'reject' | 'cluster';
  /** A port of a live cluster IP that is no service port. */
  readonly unknownPortOfClusterIP: 'pass' | 'reject';
  /** The same on a load balancer address or external IP. */
  readonly unknownPortOfExternal: 'pass' | 'reject';
  /** An address of the service CIDRs that no service owns. */
  readonly unownedServiceAddress: 'pass' | 'drop';
  /** What empty nodePortAddresses mean. */
  readonly nodePortDefault: 'all' | 'primary';
  /** Node ports answer on 127.0.0.1 when localhostNodePorts is on. */
  readonly loopbackNodePorts: boolean;
  /** Node ports that lead nowhere are refused or dropped even on addresses that nodePortAddresses excludes. */
  readonly emptyNodePortEverywhere: boolean;
  /** Source ranges hold even when there are no endpoints. */
  readonly rangesBeforeEmpty: boolean;
  /** A source that may not pass: silence, or (sockets cannot be silent) a refusal. */
  readonly denied: 'drop' | 'reject';
  /** The backend sees the client's address unless it is masqueraded. */
  readonly keepsSource: boolean;
}

const IPTABLES: ModeTraits = {
  shortCircuit: true,
  noLocalExternal: 'drop',
  noLocalInternal: 'drop',
  unknownPortOfClusterIP: 'pass',
  unknownPortOfExternal: 'pass',
  unownedServiceAddress: 'pass',
  nodePortDefault: 'all',
  loopbackNodePorts: true,
  emptyNodePortEverywhere: true,
  rangesBeforeEmpty: false,
  denied: 'drop',
  keepsSource: true,
};

export const MODE_TRAITS: Readonly<Record<ProxyMode, ModeTraits>> = {
  iptables: IPTABLES,
  nftables: {
    ...IPTABLES,
    unknownPortOfClusterIP: 'reject',
    unownedServiceAddress: 'drop',
    nodePortDefault: 'primary',
    loopbackNodePorts: false,
    emptyNodePortEverywhere: false,
    rangesBeforeEmpty: true,
  },
  ipvs: {
    ...IPTABLES,
    shortCircuit: false,
    noLocalExternal: 'cluster',
    noLocalInternal: 'reject',
    unknownPortOfClusterIP: 'reject',
    unknownPortOfExternal: 'reject',
    loopbackNodePorts: false,
    emptyNodePortEverywhere: false,
  },
  userspace: {
    ...IPTABLES,
    emptyNodePortEverywhere: false,
    rangesBeforeEmpty: true,
    denied: 'reject',
    noLocalInternal: 'reject',
    keepsSource: false,
  },
};

/** Where a mode of kube-proxy does otherwise and nothing documents it: `strict` alone follows. */
const STRICT_TRAITS: Readonly<Partial<Record<ProxyMode, ModeTraits>>> = {
  // a port that can be met from outside as well has the cluster's endpoints at hand
  ipvs: { ...MODE_TRAITS.ipvs, noLocalInternal: 'cluster', rangesBeforeEmpty: true },
};

export function traitsOf(mode: ProxyMode, strict = false): ModeTraits {
  return (strict ? STRICT_TRAITS[mode] : undefined) ?? MODE_TRAITS[mode];
}
