import { duplicate, type FieldError, invalid, notSupported, required, tooMany } from '../field-error.ts';
import {
  dnsLabel,
  dnsSubdomain,
  ipAddress,
  nonSpecialAddress,
  portNumber,
  qualifiedName,
} from '../formats.ts';
import { familyOf } from '../../../net/ip.ts';
import {
  arrayAt,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
  textOf,
} from '../json-value.ts';
import { MAX_ENDPOINT_ADDRESSES, MAX_SLICE_ENDPOINTS, MAX_SLICE_PORTS } from '../limits.ts';
import type { UnknownObject } from '../meta.ts';
import { addTexts, oneOf } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const SLICE_TYPES = ['FQDN', 'IPv4', 'IPv6'];

function validateEndpoints(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, subset] of objectsAt(object, 'subsets').entries()) {
    const path = `subsets[${index}]`;
    if (arrayAt(subset, 'addresses').length + arrayAt(subset, 'notReadyAddresses').length === 0) {
      errors.push(required(path, 'must specify `addresses` or `notReadyAddresses`'));
    }
    for (const list of ['addresses', 'notReadyAddresses']) {
      for (const [at, address] of objectsAt(subset, list).entries()) {
        validateAddress(errors, address, `${path}.${list}[${at}]`);
      }
    }
    const ports = objectsAt(subset, 'ports');
    for (const [at, port] of ports.entries()) {
      const portPath = `${path}.ports[${at}]`;
      const name = stringAt(port, 'name');
      if (name === '' && ports.length > 1) errors.push(required(`${portPath}.name`));
      else if (name !== '') addTexts(errors, `${portPath}.name`, name, dnsLabel(name));
      addTexts(errors, `${portPath}.port`, port['port'] ?? 0, portNumber(numberAt(port, 'port') ?? 0));
      oneOf(errors, port, 'protocol', portPath, PROTOCOLS, true);
    }
  }
  return errors;
}

function validateAddress(errors: FieldError[], address: JsonObject, path: string): void {
  const ip = stringAt(address, 'ip');
  addTexts(errors, `${path}.ip`, ip, ipAddress(ip));
  // Upstream's second look parses again and has fewer words for it.
  if (familyOf(ip)) addTexts(errors, `${path}.ip`, ip, nonSpecialAddress(ip));
  else errors.push(invalid(`${path}.ip`, ip, 'must be a valid IP address'));
  const hostname = stringAt(address, 'hostname');
  if (hostname !== '') addTexts(errors, `${path}.hostname`, hostname, dnsLabel(hostname));
  const node = stringAt(address, 'nodeName');
  if (node !== '') addTexts(errors, `${path}.nodeName`, node, dnsSubdomain(node));
}

export const ENDPOINTS_RULES: KindRules = {
  shortNames: ['ep'],
  createOnUpdate: true,
  defaults: (object) => {
    for (const subset of objectsAt(object, 'subsets')) {
      for (const port of objectsAt(subset, 'ports')) setDefault(port, 'protocol', 'TCP');
    }
  },
  validate: validateEndpoints,
  deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
};

function validateSlice(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const type = stringAt(object, 'addressType');
  oneOf(errors, object, 'addressType', '', SLICE_TYPES, true);
  const endpoints = objectsAt(object, 'endpoints');
  if (endpoints.length > MAX_SLICE_ENDPOINTS)
    errors.push(tooMany('endpoints', endpoints.length, MAX_SLICE_ENDPOINTS));
  for (const [index, endpoint] of endpoints.slice(0, MAX_SLICE_ENDPOINTS).entries()) {
    validateSliceEndpoint(errors, endpoint, `endpoints[${index}]`, type);
  }
  validateSlicePorts(errors, objectsAt(object, 'ports'));
  return errors;
}

function validateSliceEndpoint(errors: FieldError[], endpoint: JsonObject, path: string, type: string): void {
  const addresses = arrayAt(endpoint, 'addresses');
  if (addresses.length === 0) errors.push(required(`${path}.addresses`, 'must contain at least 1 address'));
  else if (addresses.length > MAX_ENDPOINT_ADDRESSES) {
    errors.push(tooMany(`${path}.addresses`, addresses.length, MAX_ENDPOINT_ADDRESSES));
  }
  for (const [index, address] of addresses.entries()) {
    const field = `${path}.addresses[${index}]`;
    const text = String(address);
    if (type === 'FQDN') addTexts(errors, field, text, dnsSubdomain(text));
    else if (!SLICE_TYPES.includes(type)) continue;
    else if (!familyOf(text)) addTexts(errors, field, text, ipAddress(text));
    else if (familyOf(text) !== type)
      errors.push(invalid(`${path}.addresses`, text, `must be an ${type} address`));
    else addTexts(errors, field, text, nonSpecialAddress(text));
  }
  const node = stringAt(endpoint, 'nodeName');
  if (node !== '') addTexts(errors, `${path}.nodeName`, node, dnsSubdomain(node));
  const hostname = stringAt(endpoint, 'hostname');
  if (hostname !== '') addTexts(errors, `${path}.hostname`, hostname, dnsLabel(hostname));
  const zones = new Set<string>();
  for (const [index, hint] of objectsAt(objectAt(endpoint, 'hints'), 'forZones').entries()) {
    const zone = stringAt(hint, 'name');
    if (zones.has(zone)) errors.push(duplicate(`${path}.hints.forZones[${index}].name`, zone));
    zones.add(zone);
  }
}

function validateSlicePorts(errors: FieldError[], ports: readonly JsonObject[]): void {
  if (ports.length > MAX_SLICE_PORTS) errors.push(tooMany('ports', ports.length, MAX_SLICE_PORTS));
  const names = new Set<string>();
  for (const [index, port] of ports.slice(0, MAX_SLICE_PORTS).entries()) {
    const path = `ports[${index}]`;
    const name = stringAt(port, 'name');
    if (name !== '') addTexts(errors, `${path}.name`, name, dnsLabel(name));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    if (port['protocol'] === undefined) errors.push(required(`${path}.protocol`));
    else if (!PROTOCOLS.includes(textOf(port['protocol']))) {
      errors.push(notSupported(`${path}.protocol`, port['protocol'], PROTOCOLS));
    }
    const protocol = stringAt(port, 'appProtocol');
    if (protocol !== '') addTexts(errors, `${path}.appProtocol`, protocol, qualifiedName(protocol));
  }
}

export const ENDPOINT_SLICE_RULES: KindRules = {
  generation: true,
  defaults: (object) => {
    for (const port of objectsAt(object, 'ports')) {
      port['name'] ??= '';
      setDefault(port, 'protocol', 'TCP');
    }
  },
  validate: validateSlice,
  validateUpdate: (object, old) => immutable(object['addressType'], old['addressType'], 'addressType'),
};
