import { ZONE_LABEL, type Namespace, type Node } from '../src/api/kinds/node.ts';
import type { UnknownObject } from '../src/api/kinds/meta.ts';
import type { Pod } from '../src/api/kinds/pod.ts';
import { kubeAddress } from './address.ts';
import type { ServicePortInfo } from './service-port.ts';
import type { NamespaceEntry, NodeEntry, PodEntry, ServiceImportEntry } from './snapshot.ts';

/** The zone label of nodes older than Kubernetes 1.17. */
const ZONE_LABEL_OLD = 'failure-domain.beta.kubernetes.io/zone';
const ADDRESS_TYPES = ['InternalIP', 'ExternalIP'];

export function nodeEntry(node: Node): NodeEntry {
  const { metadata, spec, status } = node;
  const labels = metadata.labels ?? {};
  const addresses = [...(status?.addresses ?? [])]
    .filter((address) => ADDRESS_TYPES.includes(address.type))
    .sort((a, b) => ADDRESS_TYPES.indexOf(a.type) - ADDRESS_TYPES.indexOf(b.type))
    .flatMap((address) => kubeAddress(address.address)?.text ?? []);
  return {
    name: metadata.name,
    zone: labels[ZONE_LABEL] ?? labels[ZONE_LABEL_OLD],
    labels,
    addresses: [...new Set(addresses)],
    podCIDRs: spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []),
    unschedulable: spec?.unschedulable === true,
    taints: (spec?.taints ?? []).map(
      ({ key, value, effect }) => `${key}${value ? `=${value}` : ''}:${effect}`,
    ),
    deleting: metadata.deletionTimestamp !== undefined,
  };
}

export function namespaceEntry({ metadata }: Namespace): NamespaceEntry {
  return { name: metadata.name, labels: metadata.labels ?? {} };
}

/** Undefined for pods that answer at no address any more: finished, going or without one. */
export function podEntry(pod: Pod): PodEntry | undefined {
  const { metadata, spec, status } = pod;
  if (metadata.deletionTimestamp !== undefined) return undefined;
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  const written = status?.podIPs?.length ? status.podIPs.map(({ ip }) => ip) : [status?.podIP];
  const addresses = written.flatMap((ip) => kubeAddress(ip)?.text ?? []);
  if (addresses.length === 0) return undefined;
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    nodeName: spec?.nodeName,
    addresses: [...new Set(addresses)],
    labels: metadata.labels ?? {},
  };
}

/** multicluster.x-k8s.io ServiceImport (KEP-1645). */
export function importFacts(object: UnknownObject): Omit<ServiceImportEntry, 'endpoints'> {
  const namespace = object.metadata.namespace ?? '';
  const spec = (object['spec'] ?? {}) as {
    type?: string;
    ips?: unknown[];
    ports?: { name?: string; protocol?: ServicePortInfo['protocol']; port: number; appProtocol?: string }[];
  };
  return {
    key: `${namespace}/${object.metadata.name}`,
    namespace,
    name: object.metadata.name,
    headless: spec.type === 'Headless',
    clusterIPs: (spec.ips ?? []).flatMap((ip) => kubeAddress(ip)?.text ?? []),
    ports: (spec.ports ?? []).map(({ name = '', protocol = 'TCP', port, appProtocol }) => ({
      name,
      protocol,
      port,
      nodePort: 0,
      appProtocol,
    })),
  };
}
