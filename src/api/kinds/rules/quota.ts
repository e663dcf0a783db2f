import { duplicate, type FieldError, forbidden, invalid, notSupported } from '../field-error.ts';
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
import { compareQuantities, parseQuantity } from '../quantity.ts';
import { addTexts } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';

const STANDARD = new Set(
  [
    'cpu memory ephemeral-storage storage',
    'requests.cpu requests.memory requests.storage requests.ephemeral-storage',
    'limits.cpu limits.memory limits.ephemeral-storage',
    'pods services secrets configmaps resourcequotas replicationcontrollers persistentvolumeclaims',
    'services.nodeports services.loadbalancers',
  ].flatMap((line) => line.split(' ')),
);
/** Counted resources have no fractions. */
const COUNTS =
  /^(pods|services(\..+)?|secrets|configmaps|resourcequotas|replicationcontrollers|persistentvolumeclaims|count\/.+)$/;
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
  const scopes = arrayAt(spec, 'scopes');
  for (const scope of scopes) {
    if (!SCOPES.includes(String(scope))) errors.push(notSupported('spec.scopes', scope, []));
  }
  for (const [a, b] of [
    ['BestEffort', 'NotBestEffort'],
    ['Terminating', 'NotTerminating'],
  ]) {
    if (scopes.includes(a) && scopes.includes(b))
      errors.push(invalid('spec.scopes', scopes, 'conflicting scopes'));
  }
  return errors;
}

export const QUOTA_RULES: KindRules = {
  shortNames: ['quota'],
  validate: validateQuota,
  validateUpdate: (object, old) =>
    immutable(objectAt(object, 'spec')['scopes'], objectAt(old, 'spec')['scopes'], 'spec.scopes'),
};

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
    addTexts(errors, `${path}.type`, type, qualifiedName(type));
    if (types.has(type)) errors.push(duplicate(`${path}.type`, type));
    types.add(type);
    if (type === 'Pod') {
      for (const field of ['default', 'defaultRequest']) {
        if (isObject(limit[field])) {
          errors.push(forbidden(`${path}.${field}`, "may not be specified when `type` is 'Pod'"));
        }
      }
    }
    validateOrder(errors, limit, path);
  }
  return errors;
}

/** min <= defaultRequest <= default <= max, for every resource named in any of them. */
function validateOrder(errors: FieldError[], limit: JsonObject, path: string): void {
  const steps = ['min', 'defaultRequest', 'default', 'max'] as const;
  const words = { min: 'min', defaultRequest: 'default request', default: 'default', max: 'max' };
  for (const [low, lower] of steps.entries()) {
    for (const upper of steps.slice(low + 1)) {
      for (const [name, value] of Object.entries(objectAt(limit, lower))) {
        const other = objectAt(limit, upper)[name];
        if (other === undefined || (compareQuantities(value, other) ?? 0) <= 0) continue;
        const text = `${words[lower]} value ${String(value)} is greater than ${words[upper]} value ${stringAt(objectAt(limit, upper), name)}`;
        errors.push(invalid(`${path}.${lower}[${name}]`, value, text));
      }
    }
  }
}

export const LIMIT_RANGE_RULES: KindRules = {
  shortNames: ['limits'],
  defaults: defaultLimitRange,
  validate: validateLimitRange,
};
