import type { NodeView, ServicePortView } from '../../endpoints/node-view.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { entrancesOf } from '../packet/entrances.ts';
import { MODE_TRAITS } from '../mode-traits.ts';
import { nodePortAddresses } from '../packet/node-ports.ts';
import { endpointId } from './balancer.ts';

/** The doors of a view, one a line: protocol, address, service port, endpoints in turn. Sorted by service port. */
export function renderDoors(view: NodeView): string {
  const addresses = nodePortAddresses(view.node, MODE_TRAITS.userspace);
  const ports = [...view.ports.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  return ports.flatMap((port) => doorLines(port, addresses)).join('');
}

function doorLines(port: ServicePortView, addresses: readonly string[]): readonly string[] {
  return entrancesOf(port, addresses).map((entrance) => {
    const local = entrance.kind === 'cluster-ip' ? port.internalLocal : port.externalLocal;
    const endpoints = (local ? port.localEndpoints : port.clusterEndpoints).map(endpointId);
    const sticky = port.affinitySeconds > 0 ? ` sticky ${port.affinitySeconds}s` : '';
    const where = joinHostPort(entrance.address, entrance.port);
    return `${port.protocol} ${where} ${entrance.kind} ${port.key} -> ${endpoints.join(' ') || 'refused'}${sticky}\n`;
  });
}
