import { type FieldError, forbidden, invalid, required, tooLong } from '../field-error.ts';
import {
  dnsSubdomain,
  portNumber,
  dns1035Label,
  wildcardSubdomain,
  pathSegment,
  dnsLabel,
} from '../formats.ts';
import { familyOf } from '../../../net/ip.ts';
import {
  arrayAt,
  isObject,
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
import { immutable } from './metadata.ts';

const PATH_TYPES = ['Exact', 'ImplementationSpecific', 'Prefix'];
const LEGACY_CLASS = 'kubernetes.io/ingress.class';
const BAD_SEQUENCES = ['//', '/./', '/../', '%2f', '%2F'];
const BAD_SUFFIXES = ['/..', '/.'];

function validate(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  const rules = objectsAt(spec, 'rules');
  if (rules.length === 0 && !isObject(spec['defaultBackend'])) {
    const text = 'either `defaultBackend` or `rules` must be specified';
    errors.push(invalid('spec', spec['rules'], text));
  }
  for (const [index, one] of objectsAt(spec, 'tls').entries()) {
    for (const [at, host] of arrayAt(one, 'hosts').entries()) {
      validateHost(errors, String(host), `spec.tls[${index}].hosts[${at}]`);
    }
    const secret = stringAt(one, 'secretName');
    if (secret !== '') addTexts(errors, `spec.tls[${index}].secretName`, secret, dnsSubdomain(secret));
  }
  if (isObject(spec['defaultBackend']))
    validateBackend(errors, spec['defaultBackend'], 'spec.defaultBackend');
  for (const [index, rule] of rules.entries()) validateRule(errors, rule, `spec.rules[${index}]`);
  const className = spec['ingressClassName'];
  if (typeof className === 'string')
    addTexts(errors, 'spec.ingressClassName', className, dnsSubdomain(className));
  return errors;
}

function validateHost(errors: FieldError[], host: string, field: string): void {
  addTexts(errors, field, host, host.includes('*') ? wildcardSubdomain(host) : dnsSubdomain(host));
}

function validateRule(errors: FieldError[], rule: JsonObject, path: string): void {
  const host = stringAt(rule, 'host');
  if (host !== '') {
    if (familyOf(host)) errors.push(invalid(`${path}.host`, host, 'must be a DNS name, not an IP address'));
    else validateHost(errors, host, `${path}.host`);
  }
  if (!isObject(rule['http'])) return;
  const paths = objectsAt(rule['http'], 'paths');
  if (paths.length === 0) errors.push(required(`${path}.http.paths`));
  for (const [index, one] of paths.entries()) validatePath(errors, one, `${path}.http.paths[${index}]`);
}

function validatePath(errors: FieldError[], one: JsonObject, path: string): void {
  const type = one['pathType'];
  const text = stringAt(one, 'path');
  if (type === undefined || type === null)
    errors.push(required(`${path}.pathType`, 'pathType must be specified'));
  else oneOf(errors, one, 'pathType', path, PATH_TYPES, true);
  if (type === 'Exact' || type === 'Prefix') {
    if (!text.startsWith('/')) errors.push(invalid(`${path}.path`, text, 'must be an absolute path'));
    for (const bad of BAD_SEQUENCES) {
      if (text.includes(bad)) errors.push(invalid(`${path}.path`, text, `must not contain '${bad}'`));
    }
    for (const bad of BAD_SUFFIXES) {
      if (text.endsWith(bad)) errors.push(invalid(`${path}.path`, text, `cannot end with '${bad}'`));
    }
  } else if (type === 'ImplementationSpecific' && text !== '' && !text.startsWith('/')) {
    errors.push(invalid(`${path}.path`, text, 'must be an absolute path'));
  }
  validateBackend(errors, objectAt(one, 'backend'), `${path}.backend`);
}

function validateBackend(errors: FieldError[], backend: JsonObject, path: string): void {
  const service = backend['service'];
  const resource = backend['resource'];
  if (isObject(service) && isObject(resource)) {
    errors.push(invalid(path, '', 'cannot set both resource and service backends'));
  } else if (isObject(resource)) {
    for (const name of ['kind', 'name'])
      if (stringAt(resource, name) === '') errors.push(required(`${path}.resource.${name}`));
  } else if (isObject(service)) validateServiceBackend(errors, service, path);
  else errors.push(invalid(path, '', 'resource or service backend is required'));
}

function validateServiceBackend(errors: FieldError[], service: JsonObject, path: string): void {
  const name = stringAt(service, 'name');
  if (name === '') errors.push(required(`${path}.service.name`));
  else addTexts(errors, `${path}.service.name`, name, dns1035Label(name));
  const port = objectAt(service, 'port');
  const portName = stringAt(port, 'name');
  const number = numberAt(port, 'number') ?? 0;
  if (portName !== '' && number !== 0)
    errors.push(invalid(path, '', 'cannot set both port name & port number'));
  else if (portName !== '') addTexts(errors, `${path}.service.port.name`, portName, dnsLabel(portName));
  else if (number !== 0) addTexts(errors, `${path}.service.port.number`, number, portNumber(number));
  else errors.push(required(path, 'port name or number is required'));
}

/** A new Ingress must not name its class twice; one that is changed may keep the old annotation. */
function validateClass(object: UnknownObject): FieldError[] {
  const annotation = objectAt(object.metadata, 'annotations')[LEGACY_CLASS];
  const field = objectAt(object, 'spec')['ingressClassName'];
  if (annotation === undefined || field === undefined || annotation === field) return [];
  const text = 'must match `ingressClassName` when both are specified';
  return [invalid(`annotations.${LEGACY_CLASS}`, annotation, text)];
}

export const INGRESS_RULES: KindRules = {
  shortNames: ['ing'],
  generation: true,
  validate,
  validateCreate: validateClass,
};

function validateIngressClass(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  const controller = stringAt(spec, 'controller');
  if (controller.length > 250) {
    errors.push(tooLong('spec.controller', 250));
  } else if (!/^[^/]+\/.+$/.test(controller)) {
    if (controller === '') errors.push(required('spec.controller'));
    else
      errors.push(
        invalid('spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")'),
      );
  } else {
    const domain = controller.slice(0, controller.indexOf('/'));
    addTexts(errors, 'spec.controller', domain, dnsSubdomain(domain));
  }
  const parameters = spec['parameters'];
  if (!isObject(parameters)) return errors;
  const path = 'spec.parameters';
  if (stringAt(parameters, 'kind') === '') errors.push(required(`${path}.kind`));
  if (stringAt(parameters, 'name') === '') errors.push(required(`${path}.name`));
  else addTexts(errors, `${path}.name`, parameters['name'], pathSegment(stringAt(parameters, 'name')));
  oneOf(errors, parameters, 'scope', path, ['Cluster', 'Namespace'], true);
  const namespace = stringAt(parameters, 'namespace');
  if (parameters['scope'] === 'Namespace' && namespace === '') {
    errors.push(required(`${path}.namespace`, "`parameters.scope` is set to 'Namespace'"));
  }
  if (parameters['scope'] === 'Cluster' && namespace !== '') {
    errors.push(forbidden(`${path}.namespace`, "`parameters.scope` is set to 'Cluster'"));
  }
  return errors;
}

export const INGRESS_CLASS_RULES: KindRules = {
  generation: true,
  defaults: (object) => {
    const parameters = objectAt(object, 'spec')['parameters'];
    if (isObject(parameters)) setDefault(parameters, 'scope', 'Cluster');
  },
  validate: validateIngressClass,
  validateUpdate: (object, old) =>
    immutable(objectAt(object, 'spec')['controller'], objectAt(old, 'spec')['controller'], 'spec.controller'),
};
