import { duplicate, type FieldError, invalid, notSupported, required, tooMany } from '../field-error.ts';
import { dnsLabel, dnsSubdomain, ipAddress, portNumber, qualifiedName } from '../formats.ts';
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
  addTexts(errors, `${path}.ip`, ip, nonSpecialIp(ip));
  const hostname = stringAt(address, 'hostname');
  if (hostname !== '') addTexts(errors, `${path}.hostname`, hostname, dnsLabel(hostname));
  const node = stringAt(address, 'nodeName');
  if (node !== '') addTexts(errors, `${path}.nodeName`, node, dnsSubdomain(node));
}

/** Addresses that would make the proxy forward to the node itself or to everybody. */
function nonSpecialIp(ip: string): string[] {
  if (ip === '0.0.0.0' || ip === '::') return [`may not be unspecified (${ip})`];
  if (ip.startsWith('169.254.') || /^fe[89ab]/i.test(ip))
    return ['may not be in the link-local range (169.254.0.0/16, fe80::/10)'];
  if (ip.startsWith('224.0.0.') || /^ff02:/i.test(ip))
    return ['may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'];
  return [];
}

export const ENDPOINTS_RULES: KindRules = {
  shortNames: ['ep'],
  defaults: (object) => {
    for (const subset of objectsAt(object, 'subsets')) {
      for (const port of objectsAt(subset, 'ports')) setDefault(port, 'protocol', 'TCP');
    }
  },
  validate: validateEndpoints,
  warnings: () => ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
};

function validateSlice(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const type = stringAt(object, 'addressType');
  oneOf(errors, object, 'addressType', '', ['FQDN', 'IPv4', 'IPv6'], true);
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
    else if (type !== '' && familyOf(text) !== type) {
      const example = type === 'IPv4' ? 'must be a valid IPv4 address' : 'must be a valid IPv6 address';
      errors.push(invalid(field, text, familyOf(text) ? example : (ipAddress(text)[0] ?? example)));
    } else addTexts(errors, field, text, nonSpecialIp(text));
  }
  const hostname = stringAt(endpoint, 'hostname');
  if (hostname !== '') addTexts(errors, `${path}.hostname`, hostname, dnsLabel(hostname));
  const node = stringAt(endpoint, 'nodeName');
  if (node !== '') addTexts(errors, `${path}.nodeName`, node, dnsSubdomain(node));
  const hints = objectsAt(objectAt(endpoint, 'hints'), 'forZones');
  for (const [index, hint] of hints.entries()) {
    if (stringAt(hint, 'name') === '') errors.push(required(`${path}.hints.forZones[${index}].name`));
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
    const number = numberAt(port, 'port');
    if (number !== undefined) addTexts(errors, `${path}.port`, number, portNumber(number));
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
