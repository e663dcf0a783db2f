import { splitLabels } from '../../../dns/wire/name.ts';
import type { Pod } from '../../api/kinds/pod.ts';

/** What a resolver is told in /etc/resolv.conf. */
export interface SearchSettings {
  readonly search: readonly string[];
  readonly ndots: number;
}

interface PodDnsConfig {
  readonly searches?: readonly string[];
  readonly options?: readonly { readonly name?: string; readonly value?: string }[];
}

const CLUSTER_NDOTS = 5;
const HOST_NDOTS = 1;
/** Kubernetes takes no more search domains than this (KEP-2595). */
const SEARCH_DOMAINS_MAX = 32;

/** What the kubelet writes for a pod of this namespace with dnsPolicy ClusterFirst. */
export function namespaceSearch(namespace: string, clusterDomain: string): SearchSettings {
  const domain = clusterDomain.replace(/\.$/, '');
  return { search: [`${namespace}.svc.${domain}`, `svc.${domain}`, domain], ndots: CLUSTER_NDOTS };
}

/** What the kubelet writes for this pod: its dnsPolicy, then what its dnsConfig adds. */
export function podSearch(pod: Pod, clusterDomain: string): SearchSettings {
  const { dnsPolicy = 'ClusterFirst', hostNetwork } = pod.spec ?? {};
  const dnsConfig = pod.spec?.['dnsConfig'] as PodDnsConfig | undefined;
  const ofCluster =
    dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && hostNetwork !== true);
  const base: SearchSettings = ofCluster
    ? namespaceSearch(pod.metadata.namespace ?? 'default', clusterDomain)
    : { search: [], ndots: HOST_NDOTS };
  const told = dnsConfig?.options?.find(({ name }) => name === 'ndots')?.value;
  const search = [...new Set([...base.search, ...(dnsConfig?.searches ?? [])])];
  return {
    search: search.slice(0, SEARCH_DOMAINS_MAX),
    ndots: told !== undefined && /^\d{1,2}$/.test(told) ? Number(told) : base.ndots,
  };
}

/**
 * The names a resolver tries for what was typed, in order (resolv.conf(5)): a name that ends in a dot stands alone;
 * one with at least ndots dots goes first as it is, one with fewer goes last.
 */
export function searchCandidates(name: string, { search, ndots }: SearchSettings): readonly string[] {
  if (name.endsWith('.')) return [name];
  const absolute = `${name}.`;
  const searched = search.map((suffix) => `${name}.${suffix.replace(/\.$/, '')}.`);
  return splitLabels(absolute).length - 1 >= ndots ? [absolute, ...searched] : [...searched, absolute];
}
