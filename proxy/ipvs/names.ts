import type { Family } from '../../src/net/ip.ts';

/** The device that carries the services' addresses; kube-proxy's, so that tools find it. */
export const DUMMY_DEVICE = 'kube-ipvs0';

/** kube-proxy's sets and their types. */
export const SET_TYPES = {
  'CLUSTER-IP': 'hash:ip,port',
  'EXTERNAL-IP': 'hash:ip,port',
  'EXTERNAL-IP-LOCAL': 'hash:ip,port',
  'LOAD-BALANCER': 'hash:ip,port',
  'LOAD-BALANCER-LOCAL': 'hash:ip,port',
  'LOAD-BALANCER-FW': 'hash:ip,port',
  'LOAD-BALANCER-SOURCE-IP': 'hash:ip,port,ip',
  'LOAD-BALANCER-SOURCE-CIDR': 'hash:ip,port,net',
  'LOOP-BACK': 'hash:ip,port,ip',
  'NODE-PORT-TCP': 'bitmap:port',
  'NODE-PORT-LOCAL-TCP': 'bitmap:port',
  'NODE-PORT-UDP': 'bitmap:port',
  'NODE-PORT-LOCAL-UDP': 'bitmap:port',
  'NODE-PORT-SCTP-HASH': 'hash:ip,port',
  'NODE-PORT-LOCAL-SCTP-HASH': 'hash:ip,port',
  'HEALTH-CHECK-NODE-PORT': 'bitmap:port',
  'IPVS-IPS': 'hash:ip',
} as const;

export type SetKind = keyof typeof SET_TYPES;
export const SET_KINDS = Object.keys(SET_TYPES) as readonly SetKind[];

/** ipset's limit; kube-proxy, too, cuts the one longer name of IPv6. */
const SET_NAME_MAX_CHARACTERS = 31;

export function setName(kind: SetKind, family: Family): string {
  return `${family === 'IPv6' ? 'KUBE-6-' : 'KUBE-'}${kind}`.slice(0, SET_NAME_MAX_CHARACTERS);
}

export function setKindOf(name: string, family: Family): SetKind | undefined {
  return SET_KINDS.find((kind) => setName(kind, family) === name);
}

/**
 * The chains of this mode. Those that iptables mode has too carry another name than kube-proxy's, so that one
 * mode can take over from the other while both are in place.
 */
export const IPVS_CHAINS = {
  services: 'KUBE-IPVS-SERVICES',
  postrouting: 'KUBE-IPVS-POSTROUTING',
  markMasq: 'KUBE-IPVS-MARK-MASQ',
  forward: 'KUBE-IPVS-FORWARD',
  firewall: 'KUBE-IPVS-FIREWALL',
  loadBalancer: 'KUBE-LOAD-BALANCER',
  nodePort: 'KUBE-NODE-PORT',
  sourceRanges: 'KUBE-SOURCE-RANGES-FIREWALL',
  filter: 'KUBE-IPVS-FILTER',
  outFilter: 'KUBE-IPVS-OUT-FILTER',
} as const;
