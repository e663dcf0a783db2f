import type { ServiceEntry } from '../../endpoints/service-port.ts';
import type { ClusterNode, Host } from './node.ts';

/** On a headless service: what `zone_order` does with its plain name. */
export const ZONES_ANNOTATION = 'weft.dev/dns-zones';

/**
 * - order: endpoints in the client's zone first
 * - prefer: those alone, or all when there are none
 * - pin: those alone, or none
 */
export type ZoneMode = 'order' | 'prefer' | 'pin';

export function zoneModeOf({ annotations }: ServiceEntry): ZoneMode {
  const told = annotations[ZONES_ANNOTATION];
  return told === 'prefer' || told === 'pin' ? told : 'order';
}

/** True when the answer for the service's own name depends on who asks. */
export function dependsOnClient(service: ServiceEntry): boolean {
  if (!service.headless) return false;
  if (zoneModeOf(service) === 'pin') return true;
  const ready = service.endpoints.filter((endpoint) => endpoint.ready);
  return ready.some(({ zone }) => zone !== ready[0]!.zone);
}

/** The node as a client in this zone sees it; each of the two groups in random order. */
export function nodeForZone(
  node: ClusterNode,
  zone: string | undefined,
  random: () => number,
): { readonly node: ClusterNode; readonly ordered: boolean } {
  if (node.kind !== 'hosts' || node.zoneMode === undefined || zone === undefined)
    return { node, ordered: false };
  const near = node.hosts.filter((host) => host.zone === zone);
  const far = node.hosts.filter((host) => host.zone !== zone);
  if (near.length === 0 && node.zoneMode === 'pin') return { node: { kind: 'empty' }, ordered: false };
  const narrow = near.length > 0 && node.zoneMode !== 'order';
  const hosts = [...shuffled(near, random), ...(narrow ? [] : shuffled(far, random))];
  return { node: { ...node, hosts }, ordered: near.length > 0 };
}

function shuffled(hosts: readonly Host[], random: () => number): Host[] {
  const out = [...hosts];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}
