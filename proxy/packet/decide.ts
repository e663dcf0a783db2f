import type { EndpointAddressPort, ServicePortView } from '../../endpoints/node-view.ts';
import type { ModeTraits } from '../mode-traits.ts';
import type { SourceKind } from './source.ts';

/** By which of its addresses a service port was met. */
export type EntranceKind = 'cluster-ip' | 'external-ip' | 'load-balancer' | 'node-port';

/** What happens to a first packet that met an entrance. */
export type Decision =
  | {
      readonly verdict: 'dnat';
      readonly endpoints: readonly EndpointAddressPort[];
      readonly masquerade: boolean;
      readonly why: string;
    }
  | { readonly verdict: 'reject' | 'drop'; readonly why: string };

export interface Sender {
  readonly kind: SourceKind;
  /** In one of the service's source ranges; only asked for load balancer addresses. */
  readonly inRanges: () => boolean;
}

export interface DecisionSettings {
  readonly traits: ModeTraits;
  readonly masqueradeAll: boolean;
  /** detectLocal is configured: who is not a pod is masqueraded on cluster IPs. */
  readonly detectsPods: boolean;
}

/** The one place that applies traffic policies, source ranges and masquerading to a packet. */
export function decide(
  view: ServicePortView,
  entrance: EntranceKind,
  sender: Sender,
  settings: DecisionSettings,
): Decision {
  const { traits } = settings;
  const fenced = entrance === 'load-balancer' && view.sourceRanges.length > 0;
  const refusedByRange = (): Decision => ({
    verdict: traits.denied,
    why: 'the source is outside loadBalancerSourceRanges',
  });
  if (fenced && traits.rangesBeforeEmpty && !sender.inRanges()) return refusedByRange();
  if (!view.anyEndpoints) return { verdict: 'reject', why: 'the service has no usable endpoint' };
  if (fenced && !traits.rangesBeforeEmpty && !sender.inRanges()) return refusedByRange();
  return entrance === 'cluster-ip'
    ? decideInternal(view, sender, settings)
    : decideExternal(view, sender, settings);
}

function decideInternal(view: ServicePortView, sender: Sender, settings: DecisionSettings): Decision {
  const masquerade = settings.masqueradeAll || (settings.detectsPods && sender.kind !== 'pod');
  if (!view.internalLocal) return to(view.clusterEndpoints, masquerade, 'internalTrafficPolicy Cluster');
  if (view.localEndpoints.length > 0)
    return to(view.localEndpoints, masquerade, 'internalTrafficPolicy Local');
  const why = 'internalTrafficPolicy Local and no endpoint on this node';
  const { noLocalInternal } = settings.traits;
  if (noLocalInternal === 'cluster') return to(view.clusterEndpoints, masquerade, why);
  return { verdict: noLocalInternal, why };
}

function decideExternal(view: ServicePortView, sender: Sender, { traits }: DecisionSettings): Decision {
  if (!view.externalLocal) return to(view.clusterEndpoints, true, 'externalTrafficPolicy Cluster');
  if (traits.shortCircuit && sender.kind === 'pod')
    return to(view.clusterEndpoints, false, 'pods see the whole service under externalTrafficPolicy Local');
  if (traits.shortCircuit && sender.kind === 'node')
    return to(view.clusterEndpoints, true, 'the node sees the whole service under policy Local');
  const own = sender.kind === 'node';
  if (view.localEndpoints.length > 0)
    return to(view.localEndpoints, own, 'externalTrafficPolicy Local: endpoints of this node, source kept');
  if (traits.noLocalExternal === 'cluster')
    return to(view.clusterEndpoints, own, 'externalTrafficPolicy Local without a local endpoint');
  return { verdict: traits.denied, why: 'externalTrafficPolicy Local and no endpoint on this node' };
}

function to(endpoints: readonly EndpointAddressPort[], masquerade: boolean, why: string): Decision {
  if (endpoints.length === 0) return { verdict: 'reject', why: 'the service has no usable endpoint' };
  return { verdict: 'dnat', endpoints, masquerade, why };
}
