import { ADMISSION_VARIABLES, MESSAGE_VARIABLES } from '../cel/admission-variables.ts';
import { compileCel } from '../cel/program.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { dnsSubdomain, qualifiedName } from '../formats.ts';
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
const REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];

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
    }
    validateWebhook(errors, webhook, path, mutating);
    if (name !== '' && names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
  }
  return errors;
}

function validateWebhook(errors: FieldError[], webhook: JsonObject, path: string, mutating: boolean): void {
  for (const [index, rule] of objectsAt(webhook, 'rules').entries())
    validateRule(errors, rule, `${path}.rules[${index}]`);
  oneOf(errors, webhook, 'failurePolicy', path, ['Fail', 'Ignore']);
  oneOf(errors, webhook, 'matchPolicy', path, ['Equivalent', 'Exact']);
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
  validateMatchConditions(errors, webhook, path);
  if (mutating) oneOf(errors, webhook, 'reinvocationPolicy', path, ['IfNeeded', 'Never']);
  validateReviewVersions(errors, arrayAt(webhook, 'admissionReviewVersions'), path);
}

function validateReviewVersions(errors: FieldError[], versions: readonly unknown[], path: string): void {
  const field = `${path}.admissionReviewVersions`;
  if (versions.length === 0) {
    errors.push(required(field, `must specify one of ${REVIEW_VERSIONS.join(', ')}`));
    return;
  }
  for (const [index, version] of versions.entries()) {
    if (versions.indexOf(version) < index)
      errors.push(invalid(`${field}[${index}]`, version, 'duplicate version'));
  }
  if (!versions.some((one) => REVIEW_VERSIONS.includes(String(one)))) {
    const text = `must include at least one of ${REVIEW_VERSIONS.join(', ')}`;
    errors.push(invalid(field, versions, text));
  }
}

function validateMatchConditions(errors: FieldError[], owner: JsonObject, path: string): void {
  for (const [index, one] of objectsAt(owner, 'matchConditions').entries()) {
    const at = `${path}.matchConditions[${index}]`;
    if (stringAt(one, 'expression').trim() === '') errors.push(required(`${at}.expression`));
    else checkExpressions(errors, one, at, { expression: 'bool' });
    const name = stringAt(one, 'name');
    if (name === '') errors.push(required(`${at}.name`));
    else addTexts(errors, `${at}.name`, name, qualifiedName(name));
  }
}

function validateClient(errors: FieldError[], client: JsonObject, path: string): void {
  const url = client['url'];
  const service = client['service'];
  if ((url === undefined) === (service === undefined)) {
    errors.push(required(path, 'exactly one of url or service is required'));
    return;
  }
  if (typeof url === 'string') validateUrl(errors, url, `${path}.url`);
  if (!isObject(service)) return;
  for (const name of ['name', 'namespace']) {
    if (stringAt(service, name) === '') errors.push(required(`${path}.service.${name}`));
  }
  const port = numberAt(service, 'port') ?? 443;
  if (port < 1 || port > 65535)
    errors.push(
      invalid(`${path}.service.port`, port, 'port is not valid: must be between 1 and 65535, inclusive'),
    );
  const location = service['path'];
  if (typeof location === 'string' && !location.startsWith('/'))
    errors.push(invalid(`${path}.service.path`, location, "must start with a '/'"));
}

function validateUrl(errors: FieldError[], text: string, field: string): void {
  const form = '; desired format: https://host[/path]';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) {
    errors.push(required(field, `url must be a valid URL${form}`));
    return;
  }
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'https') {
    errors.push(invalid(field, scheme, `'https' is the only allowed URL scheme${form}`));
  }
  if (url.host === '') errors.push(invalid(field, url.host, `host must be specified${form}`));
  if (url.username !== '')
    errors.push(invalid(field, url.username, 'user information is not permitted in the URL'));
  const fragment = url.hash.slice(1);
  if (fragment !== '') errors.push(invalid(field, fragment, 'fragments are not permitted in the URL'));
  const query = url.search.slice(1);
  if (query !== '') errors.push(invalid(field, query, 'query parameters are not permitted in the URL'));
}

function validateRule(errors: FieldError[], rule: JsonObject, path: string): void {
  for (const name of ['operations', 'apiGroups', 'apiVersions', 'resources']) {
    const values = arrayAt(rule, name);
    const field = `${path}.${name}`;
    if (values.length === 0) errors.push(required(field));
    const all = name === 'resources' ? '*/*' : '*';
    if (values.includes(all) && values.length > 1) {
      const text = `if '${all}' is present, must not specify other ${words(name)}`;
      errors.push(invalid(field, values, text));
    }
    for (const [index, value] of values.entries()) {
      if (name === 'operations') {
        if (!OPERATIONS.includes(String(value)))
          errors.push(notSupported(`${field}[${index}]`, value, OPERATIONS));
      } else if (value === '' && name !== 'apiGroups') errors.push(required(`${field}[${index}]`));
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

/** Compiles the expressions in the named fields, and checks literals against the type each must have. */
function checkExpressions(
  errors: FieldError[],
  source: JsonObject,
  path: string,
  fields: Readonly<Record<string, string>>,
): void {
  for (const [field, wanted] of Object.entries(fields)) {
    const text = stringAt(source, field);
    const variables = field === 'messageExpression' ? MESSAGE_VARIABLES : ADMISSION_VARIABLES;
    const made = text.trim() === '' ? undefined : compileCel(text, variables);
    if (made && !made.ok)
      errors.push(invalid(`${path}.${field}`, text, `compilation failed: ${made.message}`));
    const type = literalType(text.trim());
    if (type !== undefined && wanted !== 'any' && type !== wanted)
      errors.push(invalid(`${path}.${field}`, text, `must evaluate to ${wanted} but got ${type}`));
  }
}

/** The type of an expression that is one literal; others show theirs when they run. */
function literalType(text: string): string | undefined {
  if (/^(true|false)$/.test(text)) return 'bool';
  if (/^-?\d+$/.test(text)) return 'int';
  if (/^-?\d+\.\d+$/.test(text)) return 'double';
  return /^("[^"\\]*"|'[^'\\]*')$/.test(text) ? 'string' : undefined;
}

function validatePolicy(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  oneOf(errors, spec, 'failurePolicy', 'spec', ['Fail', 'Ignore']);
  const kind = spec['paramKind'];
  for (const name of isObject(kind) ? ['apiVersion', 'kind'] : []) {
    if (stringAt(kind, name) === '') errors.push(required(`spec.paramKind.${name}`));
  }
  const match = spec['matchConstraints'];
  if (!isObject(match)) errors.push(required('spec.matchConstraints'));
  else {
    const rules = objectsAt(match, 'resourceRules');
    if (rules.length === 0) errors.push(required('spec.matchConstraints.resourceRules'));
    for (const [index, rule] of rules.entries())
      validateRule(errors, rule, `spec.matchConstraints.resourceRules[${index}]`);
  }
  validateMatchConditions(errors, spec, 'spec');
  validateVariables(errors, spec);
  const validations = objectsAt(spec, 'validations');
  const annotations = objectsAt(spec, 'auditAnnotations');
  if (validations.length === 0 && annotations.length === 0) {
    const text = 'validations or auditAnnotations must contain at least one item';
    for (const list of ['validations', 'auditAnnotations']) errors.push(required(`spec.${list}`, text));
  }
  for (const [index, one] of validations.entries())
    validateValidation(errors, one, `spec.validations[${index}]`);
  for (const [index, one] of annotations.entries())
    validateAuditAnnotation(errors, one, `spec.auditAnnotations[${index}]`, object.metadata?.name ?? '');
  return errors;
}

function validateVariables(errors: FieldError[], spec: JsonObject): void {
  const names = new Set<string>();
  for (const [index, variable] of objectsAt(spec, 'variables').entries()) {
    const at = `spec.variables[${index}]`;
    const name = stringAt(variable, 'name');
    if (name === '') errors.push(required(`${at}.name`, 'name is not specified'));
    else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name))
      errors.push(invalid(`${at}.name`, name, 'must be a valid CEL identifier'));
    else if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    if (stringAt(variable, 'expression').trim() === '')
      errors.push(required(`${at}.expression`, 'expression is not specified'));
    else checkExpressions(errors, variable, at, { expression: 'any' });
  }
}

function validateValidation(errors: FieldError[], one: JsonObject, path: string): void {
  if (stringAt(one, 'expression').trim() === '')
    errors.push(required(`${path}.expression`, 'expression is not specified'));
  else checkExpressions(errors, one, path, { expression: 'bool', messageExpression: 'string' });
  const message = one['message'];
  if (typeof message === 'string') {
    if (message.trim() === '')
      errors.push(invalid(`${path}.message`, message, 'message must be non-empty if specified'));
    else if (message.includes('\n'))
      errors.push(invalid(`${path}.message`, message, 'must not contain line breaks'));
  }
  oneOf(errors, one, 'reason', path, REASONS);
}

function validateAuditAnnotation(errors: FieldError[], one: JsonObject, path: string, owner: string): void {
  const key = `${owner}/${stringAt(one, 'key')}`;
  addTexts(errors, `${path}.key`, key, qualifiedName(key));
  if (stringAt(one, 'valueExpression').trim() === '')
    errors.push(required(`${path}.valueExpression`, 'valueExpression is not specified'));
  else checkExpressions(errors, one, path, { valueExpression: 'any' });
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
  for (const field of name !== '' && selector !== undefined ? ['name', 'selector'] : [])
    errors.push(forbidden(`spec.paramRef.${field}`, 'name and selector are mutually exclusive'));
  oneOf(errors, ref, 'parameterNotFoundAction', 'spec.paramRef', ['Deny', 'Allow'], true);
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
