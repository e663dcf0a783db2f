import { type AdmissionScope, variableType } from '../cel/check/admission-types.ts';
import { BOOL, type CelType, DYN, NULL, STRING } from '../cel/check/type.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { qualifiedName } from '../formats.ts';
import {
  arrayAt,
  ensureObject,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { checkExpression, validateMatchConditions } from './admission-expressions.ts';
import { validateRule } from './admission-requests.ts';
import { addTexts, oneOf } from './checks.ts';
import type { KindRules } from './kind-rules.ts';

const REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];

function defaultMatch(match: JsonObject): void {
  setDefault(match, 'matchPolicy', 'Equivalent');
  match['namespaceSelector'] ??= {};
  match['objectSelector'] ??= {};
  for (const list of ['resourceRules', 'excludeResourceRules']) {
    for (const rule of objectsAt(match, list)) setDefault(rule, 'scope', '*');
  }
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
  const params = isObject(kind);
  validateMatchConditions(errors, spec, 'spec', params);
  const scope = { params, authorizer: true, variables: validateVariables(errors, spec, params) };
  const validations = objectsAt(spec, 'validations');
  const annotations = objectsAt(spec, 'auditAnnotations');
  if (validations.length === 0 && annotations.length === 0) {
    const text = 'validations or auditAnnotations must contain at least one item';
    for (const list of ['validations', 'auditAnnotations']) errors.push(required(`spec.${list}`, text));
  }
  for (const [index, one] of validations.entries())
    validateValidation(errors, one, `spec.validations[${index}]`, scope);
  const owner = object.metadata?.name ?? '';
  for (const [index, one] of annotations.entries())
    validateAuditAnnotation(errors, one, `spec.auditAnnotations[${index}]`, owner, scope);
  return errors;
}

/** The types of the variables, by name; each may read those before it. Undefined when there are none. */
function validateVariables(
  errors: FieldError[],
  spec: JsonObject,
  params: boolean,
): ReadonlyMap<string, CelType> | undefined {
  const variables = new Map<string, CelType>();
  for (const [index, variable] of objectsAt(spec, 'variables').entries()) {
    const at = `spec.variables[${index}]`;
    const name = stringAt(variable, 'name');
    if (name === '') errors.push(required(`${at}.name`, 'name is not specified'));
    else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name))
      errors.push(invalid(`${at}.name`, name, 'must be a valid CEL identifier'));
    else if (variables.has(name)) errors.push(duplicate(`${at}.name`, name));
    const text = stringAt(variable, 'expression');
    if (text.trim() === '') errors.push(required(`${at}.expression`, 'expression is not specified'));
    else {
      const scope = { params, authorizer: true, variables };
      const type = checkExpression(errors, text, `${at}.expression`, { scope, types: [] });
      variables.set(name, type ? variableType(type) : DYN);
    }
  }
  return objectsAt(spec, 'variables').length > 0 ? variables : undefined;
}

function validateValidation(
  errors: FieldError[],
  one: JsonObject,
  path: string,
  scope: AdmissionScope,
): void {
  const text = stringAt(one, 'expression');
  if (text.trim() === '') errors.push(required(`${path}.expression`, 'expression is not specified'));
  else checkExpression(errors, text, `${path}.expression`, { scope, types: [BOOL] });
  const made = stringAt(one, 'messageExpression');
  if (made !== '' && made.trim() === '')
    errors.push(invalid(`${path}.messageExpression`, made, 'must be non-empty if specified'));
  else if (made !== '') {
    const wanted = { scope: { ...scope, authorizer: false }, types: [STRING] };
    checkExpression(errors, made, `${path}.messageExpression`, wanted);
  }
  const message = one['message'];
  if (typeof message === 'string') {
    if (message.trim() === '')
      errors.push(invalid(`${path}.message`, message, 'must be non-empty if specified'));
    else if (message.includes('\n'))
      errors.push(invalid(`${path}.message`, message, 'must not contain line breaks'));
  }
  oneOf(errors, one, 'reason', path, REASONS);
}

function validateAuditAnnotation(
  errors: FieldError[],
  one: JsonObject,
  path: string,
  owner: string,
  scope: AdmissionScope,
): void {
  const key = `${owner}/${stringAt(one, 'key')}`;
  addTexts(errors, `${path}.key`, key, qualifiedName(key));
  const text = stringAt(one, 'valueExpression');
  if (text.trim() === '')
    errors.push(required(`${path}.valueExpression`, 'valueExpression is not specified'));
  else checkExpression(errors, text, `${path}.valueExpression`, { scope, types: [STRING, NULL] });
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
