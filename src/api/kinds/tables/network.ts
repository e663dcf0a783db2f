import { joinHostPort } from '../../../net/ip.ts';
import {
  arrayAt,
  isObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  textOf,
  valueAt,
} from '../json-value.ts';
import { TABLE_ENDPOINTS_SHOWN } from '../limits.ts';
import type { UnknownObject } from '../meta.ts';
import type { Printer } from '../registry.ts';
import { AGE, labelText, NAME, orNone, printer, selectorText, text, textAt, wide } from './printer.ts';

function loadBalancerText(object: UnknownObject): string {
  const ingress = objectsAt(objectAt(object['status'], 'loadBalancer'), 'ingress');
  const names = [
    ...new Set(ingress.map((one) => stringAt(one, 'ip') || stringAt(one, 'hostname')).filter(Boolean)),
  ];
  return names.sort().join(',');
}

function externalIp(service: UnknownObject): string {
  const spec = objectAt(service, 'spec');
  const external = arrayAt(spec, 'externalIPs').map(String);
  if (spec['type'] === 'ExternalName') return stringAt(spec, 'externalName');
  if (spec['type'] !== 'LoadBalancer') return orNone(external.join(','));
  const balancer = loadBalancerText(service);
  const all = [...(balancer === '' ? [] : [balancer]), ...external];
  return orNone(all.join(','), '<pending>');
}

function servicePorts(service: UnknownObject): string {
  const ports = objectsAt(service['spec'], 'ports').map((port) => {
    const node = numberAt(port, 'nodePort') ?? 0;
    const number = textOf(port['port']);
    const protocol = stringAt(port, 'protocol');
    return node > 0 ? `${number}:${node}/${protocol}` : `${number}/${protocol}`;
  });
  return orNone(ports.join(','));
}

export const SERVICE_PRINTER: Printer = printer([
  NAME,
  text('Type', 'spec.type'),
  text('Cluster-IP', (o) =>
    orNone(textOf(arrayAt(o['spec'], 'clusterIPs')[0]) || textAt(o, 'spec.clusterIP')),
  ),
  text('External-IP', externalIp),
  text('Port(s)', servicePorts),
  AGE,
  wide(text('Selector', (o) => labelText(valueAt(o, 'spec.selector')))),
]);

/** First few items, then how many are left. */
function shown(items: readonly string[]): string {
  if (items.length === 0) return '<none>';
  const rest = items.length - TABLE_ENDPOINTS_SHOWN;
  const list = items.slice(0, TABLE_ENDPOINTS_SHOWN).join(',');
  return rest > 0 ? `${list} + ${rest} more...` : list;
}

function endpointsText(object: UnknownObject): string {
  const items = objectsAt(object, 'subsets').flatMap((subset) => {
    const addresses = objectsAt(subset, 'addresses').map((one) => stringAt(one, 'ip'));
    const ports = objectsAt(subset, 'ports').map((one) => numberAt(one, 'port') ?? 0);
    if (ports.length === 0) return addresses;
    return ports.flatMap((port) => addresses.map((address) => joinHostPort(address, port)));
  });
  return shown(items);
}

export const ENDPOINTS_PRINTER: Printer = printer([NAME, text('Endpoints', endpointsText), AGE]);

function slicePorts(object: UnknownObject): string {
  const ports = objectsAt(object, 'ports').map((one) => String(numberAt(one, 'port') ?? '*'));
  return ports.length === 0 ? '<unset>' : shown(ports);
}

function sliceEndpoints(object: UnknownObject): string {
  const addresses = objectsAt(object, 'endpoints').flatMap((one) => arrayAt(one, 'addresses').map(String));
  return addresses.length === 0 ? '<unset>' : shown(addresses);
}

export const ENDPOINT_SLICE_PRINTER: Printer = printer([
  NAME,
  text('AddressType', 'addressType'),
  text('Ports', slicePorts),
  text('Endpoints', sliceEndpoints),
  AGE,
]);

function ingressHosts(object: UnknownObject): string {
  const hosts = objectsAt(object['spec'], 'rules')
    .map((rule) => stringAt(rule, 'host'))
    .filter(Boolean);
  if (hosts.length === 0) return '*';
  const rest = hosts.length - TABLE_ENDPOINTS_SHOWN;
  const list = hosts.slice(0, TABLE_ENDPOINTS_SHOWN).join(',');
  return rest > 0 ? `${list} + ${rest} more...` : list;
}

export const INGRESS_PRINTER: Printer = printer([
  NAME,
  text('Class', (o) =>
    orNone(
      textAt(o, 'spec.ingressClassName') ||
        stringAt(objectAt(o.metadata, 'annotations'), 'kubernetes.io/ingress.class'),
    ),
  ),
  text('Hosts', ingressHosts),
  text('Address', loadBalancerText),
  text('Ports', (o) => (arrayAt(o['spec'], 'tls').length > 0 ? '80, 443' : '80')),
  AGE,
]);

function classParameters(object: UnknownObject): string {
  const parameters = valueAt(object, 'spec.parameters');
  if (!isObject(parameters)) return '<none>';
  const group = stringAt(parameters, 'apiGroup');
  return `${stringAt(parameters, 'kind')}${group ? `.${group}` : ''}/${stringAt(parameters, 'name')}`;
}

export const INGRESS_CLASS_PRINTER: Printer = printer([
  NAME,
  text('Controller', 'spec.controller'),
  text('Parameters', classParameters),
  AGE,
]);

export const NETWORK_POLICY_PRINTER: Printer = printer([
  NAME,
  text('Pod-Selector', (o) => selectorText(valueAt(o, 'spec.podSelector'))),
  AGE,
]);

function parentText(object: UnknownObject): string {
  const parent = objectAt(object['spec'], 'parentRef');
  const namespace = stringAt(parent, 'namespace');
  const name = `${namespace ? `${namespace}/` : ''}${stringAt(parent, 'name')}`;
  const resource = stringAt(parent, 'resource');
  const group = stringAt(parent, 'group');
  return resource === '' ? '<none>' : `${resource}${group ? `.${group}` : ''}/${name}`;
}

export const IP_ADDRESS_PRINTER: Printer = printer([NAME, text('ParentRef', parentText)]);

export const SERVICE_CIDR_PRINTER: Printer = printer([
  NAME,
  text('CIDRs', (o) => arrayAt(o['spec'], 'cidrs').join(',')),
  AGE,
]);
