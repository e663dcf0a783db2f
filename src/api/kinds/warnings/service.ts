import { arrayAt, objectAt, stringAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { addressWarnings, cidrWarnings } from './addresses.ts';

const TOPOLOGY_HINTS = 'service.kubernetes.io/topology-aware-hints';
const TOPOLOGY_MODE = 'service.kubernetes.io/topology-mode';

export function serviceWarnings(service: UnknownObject): string[] {
  const spec = objectAt(service, 'spec');
  const type = stringAt(spec, 'type');
  const isHeadless = type === 'ClusterIP' && spec['clusterIP'] === 'None';
  const has = {
    hints: TOPOLOGY_HINTS in objectAt(service.metadata, 'annotations'),
    loadBalancerIP: stringAt(spec, 'loadBalancerIP') !== '',
    externalIPs: arrayAt(spec, 'externalIPs').length > 0,
  };
  const when = (applies: boolean, text: string): string[] => (applies ? [text] : []);
  const addresses = (field: string): string[] =>
    arrayAt(spec, field).flatMap((one, index) => addressWarnings(one, `spec.${field}[${index}]`));
  return [
    ...when(has.hints, `annotation ${TOPOLOGY_HINTS} is deprecated, please use ${TOPOLOGY_MODE} instead`),
    ...addresses('clusterIPs'),
    ...when(isHeadless && has.loadBalancerIP, 'spec.loadBalancerIP is ignored for headless services'),
    ...when(isHeadless && has.externalIPs, 'spec.externalIPs is ignored for headless services'),
    ...when(
      isHeadless && spec['sessionAffinity'] !== 'None',
      'spec.SessionAffinity is ignored for headless services',
    ),
    ...addresses('externalIPs'),
    ...addressWarnings(spec['loadBalancerIP'], 'spec.loadBalancerIP'),
    ...arrayAt(spec, 'loadBalancerSourceRanges').flatMap((one, index) =>
      cidrWarnings(one, `spec.loadBalancerSourceRanges[${index}]`),
    ),
    ...when(
      type === 'ExternalName' && has.externalIPs,
      'spec.externalIPs is ignored when spec.type is "ExternalName"',
    ),
    ...when(
      type !== 'ExternalName' && stringAt(spec, 'externalName') !== '',
      'spec.externalName is ignored when spec.type is not "ExternalName"',
    ),
    ...when(
      spec['trafficDistribution'] === 'PreferClose',
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ),
  ];
}
