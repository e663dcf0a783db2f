import type { ServicePortView } from '../../endpoints/node-view.ts';
import type { EntranceKind } from './decide.ts';

/** One address and port by which a service port can be met. */
export interface Entrance {
  readonly kind: EntranceKind;
  readonly address: string;
  readonly port: number;
}

/** In order of precedence; node ports on each of the given addresses. An address that repeats counts once. */
export function entrancesOf(
  view: ServicePortView,
  nodePortAddresses: readonly string[],
): readonly Entrance[] {
  const entrances: Entrance[] = [];
  const add = (kind: EntranceKind, address: string, port: number): void => {
    const known = entrances.some((entrance) => entrance.address === address && entrance.port === port);
    if (!known) entrances.push({ kind, address, port });
  };
  if (view.clusterIP !== undefined) add('cluster-ip', view.clusterIP, view.port);
  for (const address of view.externalIPs) add('external-ip', address, view.port);
  for (const address of view.loadBalancerIPs) add('load-balancer', address, view.port);
  if (view.nodePort > 0) for (const address of nodePortAddresses) add('node-port', address, view.nodePort);
  return entrances;
}
