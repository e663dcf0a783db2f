import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts';
import { qualifiedName } from '../formats.ts';
import {
  arrayAt,
  ensureObject,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { canonicalQuantity, compareQuantities, parseQuantity } from '../quantity.ts';
import { addTexts } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';
import { containerResource, COUNTED_RESOURCES, standardResource } from './pod/resources.ts';

const STANDARD = new Set(['cpu', 'memory', 'ephemeral-storage', ...COUNTED_RESOURCES]);
/** Counted resources have no fractions. */
const COUNTS =
  /^(pods|services(\..+)?|secrets|configmaps|resourcequotas|replicationcontrollers|persistentvolumeclaims|count\/.+)$/;
const COMPUTE = /^(pods|(requests\.|limits\.)?(cpu|memory|ephemeral-storage))$/;
const MUST_EXIST =
  "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
const SCOPES = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];

function validateQuota(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  for (const [name, value] of Object.entries(objectAt(spec, 'hard'))) {
    const field = `spec.hard[${name}]`;
    addTexts(errors, field, name, qualifiedName(name));
    if (!name.includes('/') && !STANDARD.has(name) && !/^(requests\.|limits\.)?hugepages-/.test(name)) {
      errors.push(invalid(field, name, 'must be a standard resource type or fully qualified'));
      errors.push(invalid(field, name, 'must be a standard resource for quota'));
    }
    const quantity = parseQuantity(value);
    if (quantity && quantity.nano < 0n)
      errors.push(invalid(field, value, 'must be greater than or equal to 0'));
    else if (quantity && COUNTS.test(name) && quantity.nano % 1_000_000_000n !== 0n) {
      errors.push(invalid(field, value, 'must be an integer'));
    }
  }
  validateScopes(errors, spec);
  validateScopeSelector(errors, spec);
  return errors;
}

function validateScopes(errors: FieldError[], spec: JsonObject): void {
  const scopes = arrayAt(spec, 'scopes');
  for (const scope of scopes) {
    if (!SCOPES.includes(String(scope))) errors.push(invalid('spec.scopes', scopes, 'unsupported scope'));
    for (const _name of unscopable(spec, String(scope)))
      errors.push(invalid('spec.scopes', scopes, 'unsupported scope applied to resource'));
  }
  for (const [a, b] of [
    ['BestEffort', 'NotBestEffort'],
    ['Terminating', 'NotTerminating'],
  ]) {
    if (scopes.includes(a) && scopes.includes(b))
      errors.push(invalid('spec.scopes', scopes, 'conflicting scopes'));
  }
}

/** Standard resources of the quota that the scope does not tell apart. */
function unscopable(spec: JsonObject, scope: string): string[] {
  const scoped = (name: string): boolean => {
    if (scope === 'BestEffort') return name === 'pods';
    if (scope === 'VolumeAttributesClass')
      return name === 'persistentvolumeclaims' || name === 'requests.storage';
    return COMPUTE.test(name);
  };
  if (!SCOPES.includes(scope)) return [];
  return Object.keys(objectAt(spec, 'hard')).filter((name) => STANDARD.has(name) && !scoped(name));
}

function validateScopeSelector(errors: FieldError[], spec: JsonObject): void {
  const field = 'spec.scopeSelector.matchExpressions';
  const expressions = objectsAt(spec['scopeSelector'], 'matchExpressions');
  for (const one of expressions) {
    const scope = stringAt(one, 'scopeName');
    const operator = stringAt(one, 'operator');
    const values = arrayAt(one, 'values');
    if (!SCOPES.includes(scope)) errors.push(invalid(`${field}.scopeName`, scope, 'unsupported scope'));
    for (const _name of unscopable(spec, scope)) {
      const shown = expressions.map((each) => ({
        ScopeName: each['scopeName'],
        Operator: each['operator'],
        Values: each['values'] ?? null,
      }));
      const text = 'unsupported scope applied to resource';
      errors.push(invalid(field, { MatchExpressions: shown }, text));
    }
    if (scope !== 'PriorityClass' && scope !== 'VolumeAttributesClass' && operator !== 'Exists')
      errors.push(invalid(`${field}.operator`, operator, MUST_EXIST));
    if (operator === 'In' || operator === 'NotIn') {
      const text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
      if (values.length === 0) errors.push(required(`${field}.values`, text));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      const text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
      if (values.length > 0) errors.push(invalid(`${field}.values`, values, text));
    } else errors.push(invalid(`${field}.operator`, operator, 'not a valid selector operator'));
  }
}

export const QUOTA_RULES: KindRules = {
  shortNames: ['quota'],
  validate: validateQuota,
  validateUpdate: (object, old) =>
    immutable(objectAt(object, 'spec')['scopes'], objectAt(old, 'spec')['scopes'], 'spec.scopes'),
};

const LIMIT_TYPES = new Set(['Pod', 'Container', 'PersistentVolumeClaim']);
const LIMIT_LISTS = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'];
const LIMIT_WORDS: Readonly<Record<string, string>> = {
  min: 'min',
  max: 'max',
  default: 'default',
  defaultRequest: 'default request',
};
/** What must not be above what; `told` is the field of the error, `shown` the one whose value it shows. */
const LIMIT_ORDER: readonly { low: string; high: string; told: string; shown?: string }[] = [
  { low: 'min', high: 'max', told: 'min' },
  { low: 'min', high: 'defaultRequest', told: 'defaultRequest' },
  { low: 'defaultRequest', high: 'max', told: 'defaultRequest' },
  { low: 'defaultRequest', high: 'default', told: 'defaultRequest' },
  { low: 'min', high: 'default', told: 'default', shown: 'min' },
  { low: 'default', high: 'max', told: 'default', shown: 'max' },
];

/** A Container limit gets defaults from its maximum, and default requests from defaults or the minimum. */
function defaultLimitRange(object: UnknownObject): void {
  for (const limit of objectsAt(object['spec'], 'limits')) {
    if (limit['type'] !== 'Container') continue;
    const defaults = ensureObject(limit, 'default');
    const requests = ensureObject(limit, 'defaultRequest');
    if (!defaults || !requests) continue;
    for (const [name, value] of Object.entries(objectAt(limit, 'max'))) defaults[name] ??= value;
    for (const [name, value] of Object.entries(defaults)) requests[name] ??= value;
    for (const [name, value] of Object.entries(objectAt(limit, 'min'))) requests[name] ??= value;
    for (const field of ['default', 'defaultRequest']) {
      if (isObject(limit[field]) && Object.keys(limit[field]).length === 0) delete limit[field];
    }
  }
}

function validateLimitRange(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const types = new Set<string>();
  for (const [index, limit] of objectsAt(object['spec'], 'limits').entries()) {
    const path = `spec.limits[${index}]`;
    const type = stringAt(limit, 'type');
    const texts = qualifiedName(type);
    addTexts(errors, `${path}.type`, type, texts);
    if (texts.length === 0 && !type.includes('/') && !LIMIT_TYPES.has(type))
      errors.push(invalid(`${path}.type`, type, 'must be a standard limit type or fully qualified'));
    if (types.has(type)) errors.push(duplicate(`${path}.type`, type));
    types.add(type);
    validateLimitNames(errors, limit, path, type);
    const { min, max } = { min: objectAt(limit, 'min'), max: objectAt(limit, 'max') };
    if (type === 'PersistentVolumeClaim' && !('storage' in min) && !('storage' in max)) {
      const text = 'either minimum or maximum storage value is required, but neither was provided';
      errors.push(required(`${path}.limits`, text));
    }
    const names = LIMIT_LISTS.flatMap((list) => Object.keys(objectAt(limit, list)));
    for (const name of new Set(names)) validateLimitOrder(errors, limit, path, name);
  }
  return errors;
}

function validateLimitNames(errors: FieldError[], limit: JsonObject, path: string, type: string): void {
  for (const list of LIMIT_LISTS) {
    const values = Object.keys(objectAt(limit, list));
    if (type === 'Pod' && list.startsWith('default')) {
      if (values.length > 0)
        errors.push(forbidden(`${path}.${list}`, "may not be specified when `type` is 'Pod'"));
      continue;
    }
    for (const name of values) {
      const field = `${path}.${list}[${name}]`;
      const judged = type === 'Pod' || type === 'Container' ? containerResource : standardResource;
      errors.push(...judged(name, field));
    }
  }
}

/** min <= defaultRequest <= default <= max for one resource, and a ratio of at least one. */
function validateLimitOrder(errors: FieldError[], limit: JsonObject, path: string, name: string): void {
  const text = (list: string): string | undefined => canonicalQuantity(objectAt(limit, list)[name]);
  for (const { low, high, told, shown = told } of LIMIT_ORDER) {
    const [lower, upper] = [text(low), text(high)];
    if (lower === undefined || upper === undefined || (compareQuantities(lower, upper) ?? 0) <= 0) continue;
    const words = `${LIMIT_WORDS[low]} value ${lower} is greater than`;
    const other = low === 'defaultRequest' && high === 'default' ? 'default limit' : LIMIT_WORDS[high];
    const field = `${path}.${told}[${name}]`;
    errors.push(invalid(field, text(shown), `${words} ${other} value ${upper}`));
  }
  const ratio = text('maxLimitRequestRatio');
  if (ratio !== undefined && (compareQuantities(ratio, '1') ?? 0) < 0)
    errors.push(invalid(`${path}.maxLimitRequestRatio[${name}]`, ratio, `ratio ${ratio} is less than 1`));
}

export const LIMIT_RANGE_RULES: KindRules = {
  shortNames: ['limits'],
  createOnUpdate: true,
  defaults: defaultLimitRange,
  validate: validateLimitRange,
};
