import { type FieldError, invalid } from '../field-error.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { immutable } from './metadata.ts';

/** What may not change once it is set. */
export function validateServiceUpdate(service: UnknownObject, old: UnknownObject): FieldError[] {
  const [spec, before] = [objectAt(service, 'spec'), objectAt(old, 'spec')];
  const errors: FieldError[] = [];
  const kept = spec['type'] !== 'ExternalName' && before['type'] !== 'ExternalName';
  const [was] = arrayAt(before, 'clusterIPs');
  const [now] = arrayAt(spec, 'clusterIPs');
  if (kept && was !== undefined && was !== now) {
    errors.push(invalid('spec.clusterIPs[0]', arrayAt(spec, 'clusterIPs'), 'may not change once set'));
  }
  if (before['type'] === 'LoadBalancer' && spec['type'] === 'LoadBalancer') {
    if (spec['loadBalancerClass'] !== before['loadBalancerClass']) {
      errors.push(invalid('spec.loadBalancerClass', spec['loadBalancerClass'], 'may not change once set'));
    }
  }
  if (spec['healthCheckNodePort'] !== undefined && numberAt(before, 'healthCheckNodePort')) {
    errors.push(
      ...immutable(spec['healthCheckNodePort'], before['healthCheckNodePort'], 'spec.healthCheckNodePort'),
    );
  }
  return errors;
}

const CLUSTER_FIELDS = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy'];

/** An update that leaves out what the server allocated keeps it; a type that cannot have it drops it. */
export function keepAllocated(service: UnknownObject, old: UnknownObject): void {
  const [spec, before] = [objectAt(service, 'spec'), objectAt(old, 'spec')];
  const type = spec['type'];
  if (type === 'ExternalName') {
    if (before['type'] !== 'ExternalName') for (const field of CLUSTER_FIELDS) delete spec[field];
    return;
  }
  if (before['type'] !== 'ExternalName') keepAddresses(spec, before);
  if (isNodePorted(spec)) keepNodePorts(spec, before);
  else if (isNodePorted(before)) dropNodePorts(spec, before);
  keepHealthCheck(spec, before);
  if (type !== 'LoadBalancer' && before['type'] === 'LoadBalancer') {
    for (const field of ['allocateLoadBalancerNodePorts', 'loadBalancerClass']) {
      if (spec[field] === before[field]) delete spec[field];
    }
    if (isObject(service['status'])) service['status']['loadBalancer'] = {};
  }
}

function isNodePorted(spec: JsonObject): boolean {
  return spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer';
}

function keepHealthCheck(spec: JsonObject, before: JsonObject): void {
  const local = (one: JsonObject): boolean =>
    one['type'] === 'LoadBalancer' && one['externalTrafficPolicy'] === 'Local';
  if (!local(before) || !before['healthCheckNodePort']) return;
  if (local(spec)) spec['healthCheckNodePort'] ||= before['healthCheckNodePort'];
  else if (spec['healthCheckNodePort'] === before['healthCheckNodePort']) delete spec['healthCheckNodePort'];
}

function keepAddresses(spec: JsonObject, before: JsonObject): void {
  if (stringAt(spec, 'clusterIP') === '' && arrayAt(spec, 'clusterIPs').length === 0) {
    if (before['clusterIP'] !== undefined) spec['clusterIP'] = before['clusterIP'];
    if (before['clusterIPs'] !== undefined) spec['clusterIPs'] = before['clusterIPs'];
  } else if (arrayAt(spec, 'clusterIPs').length === 0 && spec['clusterIP'] === before['clusterIP']) {
    if (before['clusterIPs'] !== undefined) spec['clusterIPs'] = before['clusterIPs'];
  }
  for (const field of ['ipFamilies', 'ipFamilyPolicy']) {
    if (spec[field] === undefined && before[field] !== undefined) spec[field] = before[field];
  }
}

/** A port keeps its node port by protocol and port number. */
function keepNodePorts(spec: JsonObject, before: JsonObject): void {
  if (!isNodePorted(before)) return;
  const used = new Set(
    objectsAt(spec, 'ports')
      .map((port) => port['nodePort'])
      .filter(Boolean),
  );
  const known = new Map(
    objectsAt(before, 'ports').map((port) => [
      `${String(port['protocol'])}/${String(port['port'])}`,
      port['nodePort'],
    ]),
  );
  for (const port of objectsAt(spec, 'ports')) {
    const nodePort = known.get(`${String(port['protocol'])}/${String(port['port'])}`);
    if (!port['nodePort'] && nodePort && !used.has(nodePort)) port['nodePort'] = nodePort;
  }
}

function dropNodePorts(spec: JsonObject, before: JsonObject): void {
  const old = new Set(
    objectsAt(before, 'ports')
      .map((port) => port['nodePort'])
      .filter(Boolean),
  );
  for (const port of objectsAt(spec, 'ports')) if (old.has(port['nodePort'])) delete port['nodePort'];
  if (
    arrayAt(spec, 'externalIPs').length === 0 &&
    spec['externalTrafficPolicy'] === before['externalTrafficPolicy']
  ) {
    delete spec['externalTrafficPolicy'];
  }
}
