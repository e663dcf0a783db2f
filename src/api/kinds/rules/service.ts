import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import {
  cidrText,
  dns1035Label,
  dnsLabel,
  dnsSubdomain,
  ipAddress,
  labelValue,
  nonLoopbackAddress,
  nonSpecialAddress,
  portName,
  portNumber,
  qualifiedName,
} from '../formats.ts';
import {
  arrayAt,
  ensureObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { addTexts, oneOf } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { keepAllocated, validateServiceUpdate } from './service-update.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const POLICIES = ['Cluster', 'Local'];
const DISTRIBUTIONS = ['PreferClose', 'PreferSameZone', 'PreferSameNode'];
/** Spelled as upstream's errors spell it. */
const SOURCE_RANGES = 'spec.LoadBalancerSourceRanges';
const AFFINITY_SECONDS = 10_800;
const MAX_AFFINITY_SECONDS = 86_400;

function defaults(service: UnknownObject): void {
  const spec = ensureObject(service, 'spec');
  if (!spec) return;
  setDefault(spec, 'type', 'ClusterIP');
  setDefault(spec, 'sessionAffinity', 'None');
  if (spec['sessionAffinity'] === 'None') delete spec['sessionAffinityConfig'];
  else if (spec['sessionAffinity'] === 'ClientIP') {
    const config = ensureObject(spec, 'sessionAffinityConfig');
    const client = config && ensureObject(config, 'clientIP');
    if (client) client['timeoutSeconds'] ??= AFFINITY_SECONDS;
  }
  for (const port of objectsAt(spec, 'ports')) {
    setDefault(port, 'protocol', 'TCP');
    if (port['targetPort'] === undefined || port['targetPort'] === 0 || port['targetPort'] === '') {
      if (typeof port['port'] === 'number') port['targetPort'] = port['port'];
    }
  }
  defaultTraffic(spec);
}

function defaultTraffic(spec: JsonObject): void {
  const type = spec['type'];
  const exposed = type === 'NodePort' || type === 'LoadBalancer';
  const external = exposed || arrayAt(spec, 'externalIPs').length > 0;
  if (external) setDefault(spec, 'externalTrafficPolicy', 'Cluster');
  if (type === 'LoadBalancer') spec['allocateLoadBalancerNodePorts'] ??= true;
  if (TYPES.includes(String(type)) && type !== 'ExternalName')
    setDefault(spec, 'internalTrafficPolicy', 'Cluster');
}

/** clusterIP alone stands for a list of one. */
function prepare(service: UnknownObject): void {
  const spec = objectAt(service, 'spec');
  const single = stringAt(spec, 'clusterIP');
  const several = arrayAt(spec, 'clusterIPs');
  if (single !== '' && several.length === 0) spec['clusterIPs'] = [single];
}

function validate(service: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(service, 'spec');
  oneOf(errors, spec, 'type', 'spec', TYPES, true);
  const headless = spec['clusterIP'] === 'None';
  const type = spec['type'];
  const ports = objectsAt(spec, 'ports');
  if (ports.length === 0 && !headless && type !== 'ExternalName') errors.push(required('spec.ports'));
  validatePorts(errors, ports, headless, type);
  validateType(errors, spec, headless);
  for (const [key, value] of Object.entries(objectAt(spec, 'selector'))) {
    addTexts(errors, 'spec.selector', key, qualifiedName(key));
    addTexts(errors, 'spec.selector', value, labelValue(String(value)));
  }
  validateAffinity(errors, spec);
  validateAddresses(errors, spec);
  validateTraffic(errors, spec);
  return errors;
}

function validatePorts(
  errors: FieldError[],
  ports: readonly JsonObject[],
  headless: boolean,
  type: unknown,
): void {
  const names = new Set<string>();
  const numbers = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const path = `spec.ports[${index}]`;
    const name = stringAt(port, 'name');
    if (name === '' && ports.length > 1) errors.push(required(`${path}.name`));
    else if (name !== '') {
      addTexts(errors, `${path}.name`, name, dnsLabel(name));
      if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
      names.add(name);
    }
    const number = numberAt(port, 'port') ?? 0;
    addTexts(errors, `${path}.port`, number, portNumber(number));
    oneOf(errors, port, 'protocol', path, PROTOCOLS, true);
    validateTargetPort(errors, port['targetPort'], `${path}.targetPort`);
    validateAppProtocol(errors, port, path);
    const key = `${stringAt(port, 'protocol')}/${number}`;
    if (numbers.has(key)) errors.push(duplicate(path, portKey(port)));
    numbers.add(key);
    validateNodePort(errors, port, path, nodePorts, headless, type);
  }
}

/** Upstream prints what makes a port unique in its internal form. */
function portKey(port: JsonObject): JsonObject {
  const { protocol, port: number } = port;
  return { Name: '', Protocol: protocol, AppProtocol: null, Port: number, TargetPort: 0, NodePort: 0 };
}

function validateTargetPort(errors: FieldError[], target: unknown, field: string): void {
  if (typeof target === 'number') addTexts(errors, field, target, portNumber(target));
  else if (typeof target === 'string') addTexts(errors, field, target, portName(target));
}

function validateAppProtocol(errors: FieldError[], port: JsonObject, path: string): void {
  const protocol = stringAt(port, 'appProtocol');
  if (protocol !== '') addTexts(errors, `${path}.appProtocol`, protocol, qualifiedName(protocol));
}

function validateNodePort(
  errors: FieldError[],
  port: JsonObject,
  path: string,
  seen: Set<string>,
  headless: boolean,
  type: unknown,
): void {
  const nodePort = numberAt(port, 'nodePort') ?? 0;
  if (nodePort === 0) return;
  if (type === 'ClusterIP' || type === 'ExternalName') {
    errors.push(forbidden(`${path}.nodePort`, `may not be used when \`type\` is '${type}'`));
    return;
  }
  const key = `${stringAt(port, 'protocol')}/${nodePort}`;
  if (seen.has(key)) errors.push(duplicate(`${path}.nodePort`, nodePort));
  seen.add(key);
  if (headless) errors.push(invalid(path, nodePort, 'may not be used with a headless service'));
}

function validateType(errors: FieldError[], spec: JsonObject, headless: boolean): void {
  const type = spec['type'];
  if (type === 'LoadBalancer' || type === 'NodePort') {
    if (headless)
      errors.push(invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`));
  }
  if (type === 'ExternalName') {
    if (stringAt(spec, 'clusterIP') !== '' || arrayAt(spec, 'clusterIPs').length > 0) {
      errors.push(forbidden('spec.clusterIPs', 'may not be set for ExternalName services'));
    }
    const name = stringAt(spec, 'externalName').replace(/\.$/, '');
    if (name === '') errors.push(required('spec.externalName'));
    else addTexts(errors, 'spec.externalName', stringAt(spec, 'externalName'), dnsSubdomain(name));
  }
  if (type !== 'LoadBalancer') {
    for (const field of ['loadBalancerClass', 'allocateLoadBalancerNodePorts']) {
      if (spec[field] !== undefined)
        errors.push(forbidden(`spec.${field}`, "may only be used when `type` is 'LoadBalancer'"));
    }
    if (arrayAt(spec, 'loadBalancerSourceRanges').length > 0)
      errors.push(forbidden(SOURCE_RANGES, "may only be used when `type` is 'LoadBalancer'"));
    return;
  }
  const className = stringAt(spec, 'loadBalancerClass');
  if (spec['loadBalancerClass'] !== undefined)
    addTexts(errors, 'spec.loadBalancerClass', className, qualifiedName(className));
  for (const [index, range] of arrayAt(spec, 'loadBalancerSourceRanges').entries())
    addTexts(errors, `${SOURCE_RANGES}[${index}]`, range, cidrText(String(range).trim()));
}

function validateAffinity(errors: FieldError[], spec: JsonObject): void {
  oneOf(errors, spec, 'sessionAffinity', 'spec', ['ClientIP', 'None'], true);
  const config = spec['sessionAffinityConfig'];
  if (spec['sessionAffinity'] === 'None' && config !== undefined && config !== null) {
    errors.push(forbidden('spec.sessionAffinityConfig', 'must not be set when session affinity is None'));
  }
  if (spec['sessionAffinity'] !== 'ClientIP') return;
  const seconds = numberAt(objectAt(config, 'clientIP'), 'timeoutSeconds');
  const field = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
  if (seconds === undefined) errors.push(required(field));
  else if (seconds <= 0 || seconds > MAX_AFFINITY_SECONDS) {
    errors.push(invalid(field, seconds, `must be greater than 0 and less than ${MAX_AFFINITY_SECONDS}`));
  }
}

function validateAddresses(errors: FieldError[], spec: JsonObject): void {
  const clusterIps = arrayAt(spec, 'clusterIPs');
  for (const [index, ip] of clusterIps.entries()) {
    if (ip === 'None' && index === 0) continue;
    addTexts(errors, `spec.clusterIPs[${index}]`, ip, ipAddress(String(ip)));
  }
  if (clusterIps.length > 2) {
    errors.push(invalid('spec.clusterIPs', clusterIps, 'may only hold up to 2 values'));
  }
  const single = stringAt(spec, 'clusterIP');
  if (clusterIps.length > 0 && single !== '' && single !== clusterIps[0]) {
    errors.push(invalid('spec.clusterIPs', clusterIps, 'first value must match `clusterIP`'));
  }
  for (const [index, ip] of arrayAt(spec, 'externalIPs').entries()) {
    addTexts(errors, `spec.externalIPs[${index}]`, ip, ipAddress(String(ip)));
    const texts = [...nonSpecialAddress(String(ip)), ...nonLoopbackAddress(String(ip))];
    addTexts(errors, `spec.externalIPs[${index}]`, ip, texts);
  }
  oneOf(errors, spec, 'ipFamilyPolicy', 'spec', ['PreferDualStack', 'RequireDualStack', 'SingleStack']);
  const families = arrayAt(spec, 'ipFamilies');
  for (const [index, family] of families.entries()) {
    if (family !== 'IPv4' && family !== 'IPv6')
      errors.push(notSupported(`spec.ipFamilies[${index}]`, family, ['IPv4', 'IPv6']));
    else if (families.indexOf(family) !== index) errors.push(duplicate(`spec.ipFamilies[${index}]`, family));
  }
}

function validateTraffic(errors: FieldError[], spec: JsonObject): void {
  const type = spec['type'];
  oneOf(errors, spec, 'internalTrafficPolicy', 'spec', POLICIES);
  const exposed = type === 'NodePort' || type === 'LoadBalancer' || arrayAt(spec, 'externalIPs').length > 0;
  if (!exposed && stringAt(spec, 'externalTrafficPolicy') !== '') {
    errors.push(
      invalid(
        'spec.externalTrafficPolicy',
        spec['externalTrafficPolicy'],
        'may only be set for externally-accessible services',
      ),
    );
  } else oneOf(errors, spec, 'externalTrafficPolicy', 'spec', POLICIES);
  oneOf(errors, spec, 'trafficDistribution', 'spec', DISTRIBUTIONS);
  const check = numberAt(spec, 'healthCheckNodePort') ?? 0;
  if (check < 0)
    errors.push(invalid('spec.healthCheckNodePort', check, 'must be between 0-65535, inclusive'));
  const local = type === 'LoadBalancer' && spec['externalTrafficPolicy'] === 'Local';
  if (check > 0 && !local) {
    const text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    errors.push(invalid('spec.healthCheckNodePort', check, text));
  }
}

function prepareUpdate(service: UnknownObject, old: UnknownObject): void {
  keepAllocated(service, old);
  if (stringAt(objectAt(service, 'spec'), 'type') !== 'ExternalName') prepare(service);
}

export const SERVICE_RULES: KindRules = {
  shortNames: ['svc'],
  createOnUpdate: true,
  categories: ['all'],
  nameRule: dns1035Label,
  selectable: {
    'spec.clusterIP': 'spec.clusterIP',
    'spec.type': 'spec.type',
  },
  defaults,
  prepareCreate: prepare,
  prepareUpdate,
  validate,
  validateCreate: (service) => {
    const spec = objectAt(service, 'spec');
    const given = arrayAt(spec, 'clusterIPs');
    if (given.length === 0 || stringAt(spec, 'clusterIP') !== '') return [];
    return [invalid('spec.clusterIPs', given, 'must be empty when `clusterIP` is not specified')];
  },
  validateUpdate: validateServiceUpdate,
};
