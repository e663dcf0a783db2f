import { ADMISSION_VARIABLES } from '../cel/admission-variables.ts';
import { compileCel } from '../cel/program.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { dnsSubdomain } from '../formats.ts';
import {
  arrayAt,
  ensureObject,
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

const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const REVIEW_VERSIONS = ['v1', 'v1beta1'];
const MAX_TIMEOUT_SECONDS = 30;

function defaultWebhooks(object: UnknownObject, mutating: boolean): void {
  for (const webhook of objectsAt(object, 'webhooks')) {
    setDefault(webhook, 'failurePolicy', 'Fail');
    setDefault(webhook, 'matchPolicy', 'Equivalent');
    webhook['namespaceSelector'] ??= {};
    webhook['objectSelector'] ??= {};
    webhook['timeoutSeconds'] ??= 10;
    if (mutating) setDefault(webhook, 'reinvocationPolicy', 'Never');
    const service = objectAt(webhook, 'clientConfig')['service'];
    if (isObject(service)) service['port'] ??= 443;
    for (const rule of objectsAt(webhook, 'rules')) setDefault(rule, 'scope', '*');
  }
}

function validateWebhooks(object: UnknownObject, mutating: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, webhook] of objectsAt(object, 'webhooks').entries()) {
    const path = `webhooks[${index}]`;
    const name = stringAt(webhook, 'name');
    if (name === '') errors.push(required(`${path}.name`));
    else {
      addTexts(errors, `${path}.name`, name, dnsSubdomain(name));
      if (name.split('.').length < 3) {
        errors.push(
          invalid(`${path}.name`, name, 'should be a domain with at least three segments separated by dots'),
        );
      }
      if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    }
    names.add(name);
    validateWebhook(errors, webhook, path, mutating);
  }
  return errors;
}

function validateWebhook(errors: FieldError[], webhook: JsonObject, path: string, mutating: boolean): void {
  const versions = arrayAt(webhook, 'admissionReviewVersions');
  if (versions.length === 0) {
    const text = `must specify one of ${REVIEW_VERSIONS.join(', ')}`;
    errors.push(required(`${path}.admissionReviewVersions`, text));
  } else if (!versions.some((one) => REVIEW_VERSIONS.includes(String(one)))) {
    const text = `must include at least one of ${REVIEW_VERSIONS.join(', ')}`;
    errors.push(invalid(`${path}.admissionReviewVersions`, versions, text));
  }
  for (const [index, rule] of objectsAt(webhook, 'rules').entries())
    validateRule(errors, rule, `${path}.rules[${index}]`);
  for (const [index, one] of objectsAt(webhook, 'matchConditions').entries()) {
    checkExpressions(errors, one, `${path}.matchConditions[${index}]`, ['expression']);
  }
  oneOf(errors, webhook, 'failurePolicy', path, ['Fail', 'Ignore']);
  oneOf(errors, webhook, 'matchPolicy', path, ['Equivalent', 'Exact']);
  if (mutating) oneOf(errors, webhook, 'reinvocationPolicy', path, ['IfNeeded', 'Never']);
  const effects = webhook['sideEffects'];
  if (effects === undefined)
    errors.push(required(`${path}.sideEffects`, 'must specify one of None, NoneOnDryRun'));
  else if (effects !== 'None' && effects !== 'NoneOnDryRun') {
    errors.push(notSupported(`${path}.sideEffects`, effects, ['None', 'NoneOnDryRun']));
  }
  const timeout = numberAt(webhook, 'timeoutSeconds');
  if (timeout !== undefined && (timeout < 1 || timeout > MAX_TIMEOUT_SECONDS)) {
    const text = `the timeout value must be between 1 and ${MAX_TIMEOUT_SECONDS} seconds`;
    errors.push(invalid(`${path}.timeoutSeconds`, timeout, text));
  }
  for (const name of ['namespaceSelector', 'objectSelector'])
    validateSelector(errors, webhook[name], `${path}.${name}`);
  validateClient(errors, objectAt(webhook, 'clientConfig'), `${path}.clientConfig`);
}

function validateClient(errors: FieldError[], client: JsonObject, path: string): void {
  const url = client['url'];
  const service = client['service'];
  if ((url === undefined) === (service === undefined)) {
    errors.push(required(path, 'exactly one of url or service is required'));
  }
  if (typeof url === 'string' && !/^https:\/\/[^/@?#]+(\/[^?#]*)?$/.test(url)) {
    errors.push(
      invalid(
        `${path}.url`,
        url,
        "must be a valid URL: 'https' is the only allowed URL scheme; desired format: https://host[/path]",
      ),
    );
  }
  if (!isObject(service)) return;
  for (const name of ['name', 'namespace']) {
    if (stringAt(service, name) === '')
      errors.push(required(`${path}.service.${name}`, `service ${name} is required`));
  }
  const port = numberAt(service, 'port') ?? 443;
  if (port < 1 || port > 65535)
    errors.push(
      invalid(`${path}.service.port`, port, 'port is not valid: must be between 1 and 65535, inclusive'),
    );
}

function validateRule(errors: FieldError[], rule: JsonObject, path: string): void {
  for (const name of ['operations', 'apiGroups', 'apiVersions', 'resources']) {
    const values = arrayAt(rule, name);
    if (values.length === 0) errors.push(required(`${path}.${name}`));
    if (values.includes('*') && values.length > 1 && name !== 'resources') {
      errors.push(
        invalid(`${path}.${name}`, values, "if '*' is present, must not specify other " + words(name)),
      );
    }
  }
  for (const [index, operation] of arrayAt(rule, 'operations').entries()) {
    if (!OPERATIONS.includes(String(operation))) {
      errors.push(notSupported(`${path}.operations[${index}]`, operation, OPERATIONS));
    }
  }
  oneOf(errors, rule, 'scope', path, ['*', 'Cluster', 'Namespaced']);
}

function words(name: string): string {
  return { apiGroups: 'API groups', apiVersions: 'API versions' }[name] ?? name;
}

function webhookRules(mutating: boolean): KindRules {
  return {
    generation: true,
    defaults: (object) => defaultWebhooks(object, mutating),
    validate: (object) => validateWebhooks(object, mutating),
  };
}

export const MUTATING_WEBHOOK_RULES = webhookRules(true);
export const VALIDATING_WEBHOOK_RULES = webhookRules(false);

function defaultMatch(match: JsonObject): void {
  setDefault(match, 'matchPolicy', 'Equivalent');
  match['namespaceSelector'] ??= {};
  match['objectSelector'] ??= {};
  for (const list of ['resourceRules', 'excludeResourceRules']) {
    for (const rule of objectsAt(match, list)) setDefault(rule, 'scope', '*');
  }
}

function checkExpressions(
  errors: FieldError[],
  source: JsonObject,
  path: string,
  fields: readonly string[],
): void {
  for (const field of fields) {
    const text = stringAt(source, field);
    const made = text.trim() === '' ? undefined : compileCel(text, ADMISSION_VARIABLES);
    if (made && !made.ok) {
      errors.push(invalid(`${path}.${field}`, text, `compilation failed: ${made.message}`));
    }
  }
}

function validatePolicy(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  const validations = objectsAt(spec, 'validations');
  if (validations.length === 0 && arrayAt(spec, 'auditAnnotations').length === 0) {
    errors.push(
      required('spec.validations', 'validations or auditAnnotations must contain at least one item'),
    );
  }
  for (const [index, one] of validations.entries()) {
    const path = `spec.validations[${index}]`;
    if (stringAt(one, 'expression').trim() === '') {
      errors.push(required(`${path}.expression`, 'expression is not specified'));
    } else checkExpressions(errors, one, path, ['expression', 'messageExpression']);
  }
  for (const list of ['matchConditions', 'variables', 'auditAnnotations']) {
    for (const [index, one] of objectsAt(spec, list).entries()) {
      checkExpressions(errors, one, `spec.${list}[${index}]`, ['expression', 'valueExpression']);
    }
  }
  const match = spec['matchConstraints'];
  if (!isObject(match)) errors.push(required('spec.matchConstraints'));
  else {
    const rules = objectsAt(match, 'resourceRules');
    if (rules.length === 0) errors.push(required('spec.matchConstraints.resourceRules'));
    for (const [index, rule] of rules.entries())
      validateRule(errors, rule, `spec.matchConstraints.resourceRules[${index}]`);
  }
  oneOf(errors, spec, 'failurePolicy', 'spec', ['Fail', 'Ignore']);
  const kind = spec['paramKind'];
  for (const name of isObject(kind) ? ['apiVersion', 'kind'] : []) {
    if (stringAt(kind, name) === '') errors.push(required(`spec.paramKind.${name}`));
  }
  const names = new Set<string>();
  for (const [index, variable] of objectsAt(spec, 'variables').entries()) {
    const name = stringAt(variable, 'name');
    if (name === '') errors.push(required(`spec.variables[${index}].name`, 'name is not specified'));
    else if (names.has(name)) errors.push(duplicate(`spec.variables[${index}].name`, name));
    names.add(name);
  }
  return errors;
}

export const ADMISSION_POLICY_RULES: KindRules = {
  generation: true,
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    if (!spec) return;
    setDefault(spec, 'failurePolicy', 'Fail');
    if (isObject(spec['matchConstraints'])) defaultMatch(spec['matchConstraints']);
  },
  validate: validatePolicy,
};

const ACTIONS = ['Audit', 'Deny', 'Warn'];

function validateBinding(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  if (stringAt(spec, 'policyName') === '') errors.push(required('spec.policyName'));
  const actions = arrayAt(spec, 'validationActions');
  if (actions.length === 0)
    errors.push(required('spec.validationActions', 'at least one validation action is required'));
  for (const [index, action] of actions.entries()) {
    const field = `spec.validationActions[${index}]`;
    if (!ACTIONS.includes(String(action))) errors.push(notSupported(field, action, ACTIONS));
    if (actions.indexOf(action) !== index) errors.push(duplicate(field, action));
  }
  if (actions.includes('Deny') && actions.includes('Warn')) {
    errors.push(
      invalid(
        'spec.validationActions',
        actions,
        'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
      ),
    );
  }
  const ref = spec['paramRef'];
  if (!isObject(ref)) return errors;
  const [name, selector] = [stringAt(ref, 'name'), ref['selector']];
  if (name === '' && selector === undefined)
    errors.push(required('spec.paramRef', 'one of name or selector must be specified'));
  if (name !== '' && selector !== undefined)
    errors.push(forbidden('spec.paramRef.name', 'name and selector are mutually exclusive'));
  oneOf(errors, ref, 'parameterNotFoundAction', 'spec.paramRef', ['Allow', 'Deny'], true);
  return errors;
}

export const ADMISSION_BINDING_RULES: KindRules = {
  generation: true,
  defaults: (object) => {
    const match = objectAt(object, 'spec')['matchResources'];
    if (isObject(match)) defaultMatch(match);
  },
  validate: validateBinding,
};
