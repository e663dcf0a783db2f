import { canonicalAddress, familyOf } from '../../../net/ip.ts';
import { cidrContains, formatCidr, parseCidr } from '../../../net/cidr.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { cidrText, ipAddress, portName, portNumber } from '../formats.ts';
import {
  arrayAt,
  ensureObject,
  equalJson,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { addTexts, oneOf, validateSelector } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'];
const POLICY_TYPES = ['Ingress', 'Egress'];

function defaultPolicy(object: UnknownObject): void {
  const spec = ensureObject(object, 'spec');
  if (!spec) return;
  if (arrayAt(spec, 'policyTypes').length === 0) {
    spec['policyTypes'] = arrayAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  }
  for (const rule of [...objectsAt(spec, 'ingress'), ...objectsAt(spec, 'egress')]) {
    for (const port of objectsAt(rule, 'ports')) setDefault(port, 'protocol', 'TCP');
  }
}

function validatePolicy(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  validateSelector(errors, spec['podSelector'], 'spec.podSelector');
  for (const [list, peers] of [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const) {
    for (const [index, rule] of objectsAt(spec, list).entries()) {
      const path = `spec.${list}[${index}]`;
      for (const [at, port] of objectsAt(rule, 'ports').entries())
        validatePolicyPort(errors, port, `${path}.ports[${at}]`);
      for (const [at, peer] of objectsAt(rule, peers).entries())
        validatePeer(errors, peer, `${path}.${peers}[${at}]`);
    }
  }
  const types = arrayAt(spec, 'policyTypes');
  if (types.length > 2)
    errors.push(invalid('spec.policyTypes', types, 'may not specify more than two policyTypes'));
  for (const [index, type] of types.length > 2 ? [] : types.entries()) {
    if (!POLICY_TYPES.includes(String(type)))
      errors.push(notSupported(`spec.policyTypes[${index}]`, type, POLICY_TYPES));
  }
  return errors;
}

function validatePolicyPort(errors: FieldError[], port: JsonObject, path: string): void {
  oneOf(errors, port, 'protocol', path, PROTOCOLS);
  const number = port['port'];
  if (typeof number === 'number') addTexts(errors, `${path}.port`, number, portNumber(number));
  else if (typeof number === 'string') addTexts(errors, `${path}.port`, number, portName(number));
  const end = numberAt(port, 'endPort');
  if (end === undefined) return;
  if (number === undefined)
    errors.push(invalid(`${path}.endPort`, end, 'may not be specified when `port` is not specified'));
  else if (typeof number === 'string')
    errors.push(invalid(`${path}.endPort`, end, 'may not be specified when `port` is non-numeric'));
  else if (typeof number === 'number' && end < number)
    errors.push(invalid(`${path}.endPort`, number, 'must be greater than or equal to `port`'));
  else addTexts(errors, `${path}.endPort`, end, portNumber(end));
}

function validatePeer(errors: FieldError[], peer: JsonObject, path: string): void {
  const selectors = ['podSelector', 'namespaceSelector'].filter((name) => isObject(peer[name]));
  for (const name of selectors) validateSelector(errors, peer[name], `${path}.${name}`);
  const block = peer['ipBlock'];
  if (isObject(block)) {
    if (selectors.length > 0) errors.push(forbidden(path, 'may not specify both ipBlock and another peer'));
    validateIpBlock(errors, block, `${path}.ipBlock`);
  } else if (selectors.length === 0) errors.push(required(path, 'must specify a peer'));
}

function validateIpBlock(errors: FieldError[], block: JsonObject, path: string): void {
  const text = stringAt(block, 'cidr');
  if (text === '') {
    errors.push(required(`${path}.cidr`));
    return;
  }
  addTexts(errors, `${path}.cidr`, text, cidrText(text));
  const outer = parseCidr(text);
  for (const [index, one] of arrayAt(block, 'except').entries()) {
    const field = `${path}.except[${index}]`;
    addTexts(errors, field, one, cidrText(String(one)));
    const inner = parseCidr(String(one));
    if (!outer || !inner) continue;
    if (inner.prefixBits <= outer.prefixBits || !cidrContains(outer, inner.network)) {
      errors.push(invalid(field, one, 'must be a strict subset of `cidr`'));
    }
  }
}

export const NETWORK_POLICY_RULES: KindRules = {
  shortNames: ['netpol'],
  generation: true,
  defaults: defaultPolicy,
  validate: validatePolicy,
};

export const IP_ADDRESS_RULES: KindRules = {
  shortNames: ['ip'],
  nameRule: (name) => {
    if (/(^|\.)0\d/.test(name)) return ['must not have leading 0s'];
    if (!familyOf(name)) return ipAddress(name);
    return canonicalAddress(name) === name ? [] : ['must be a canonical format IP address'];
  },
  selectable: {
    'spec.parentRef.name': 'spec.parentRef.name',
    'spec.parentRef.namespace': 'spec.parentRef.namespace',
  },
  validate: (object) => {
    const parent = objectAt(object, 'spec')['parentRef'];
    if (!isObject(parent)) return [required('spec.parentRef')];
    return ['resource', 'name']
      .filter((name) => stringAt(parent, name) === '')
      .map((name) => required(`spec.parentRef.${name}`));
  },
  validateUpdate: (object, old) => {
    const [parent, before] = [object, old].map((one) => objectAt(objectAt(one, 'spec'), 'parentRef'));
    return equalJson(parent, before)
      ? []
      : [invalid('spec.parentRef', parentFields(parent), 'field is immutable')];
  },
};

/** As upstream prints the reference: with the names of Go's fields. */
function parentFields(parent: unknown): JsonObject {
  return Object.fromEntries(
    ['Group', 'Resource', 'Namespace', 'Name'].map((field) => [field, stringAt(parent, field.toLowerCase())]),
  );
}

function validateServiceCidr(object: UnknownObject): FieldError[] {
  const cidrs = arrayAt(object['spec'], 'cidrs');
  if (cidrs.length === 0) return [required('spec.cidrs', 'at least one CIDR required')];
  const errors: FieldError[] = [];
  if (cidrs.length > 2) return [invalid('spec.cidrs', { CIDRs: cidrs }, 'may only hold up to 2 values')];
  for (const [index, one] of cidrs.entries()) {
    const text = String(one);
    addTexts(errors, `spec.cidrs[${index}]`, text, cidrText(text));
    const parsed = parseCidr(text);
    if (parsed && formatCidr(parsed) !== text) {
      errors.push(invalid(`spec.cidrs[${index}]`, text, 'must not have bits set beyond the prefix length'));
    }
  }
  const [first, second] = cidrs.map((one) => parseCidr(String(one))?.family);
  if (first && first === second) {
    errors.push(
      invalid(
        'spec.cidrs',
        cidrs,
        'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
      ),
    );
  }
  return errors;
}

/** Of a range nothing changes, but that of one family may get the other one. */
function validateServiceCidrUpdate(object: UnknownObject, old: UnknownObject): FieldError[] {
  const now = arrayAt(object['spec'], 'cidrs');
  const before = arrayAt(old['spec'], 'cidrs');
  if (now.length < before.length) return immutable(now, before, 'spec.cidrs');
  return before.flatMap((one, index) => immutable(now[index], one, `spec.cidrs[${index}]`));
}

export const SERVICE_CIDR_RULES: KindRules = {
  validate: validateServiceCidr,
  validateUpdate: validateServiceCidrUpdate,
};
