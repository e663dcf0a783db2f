import { type FieldError, forbidden, invalid, required } from '../field-error.ts';
import { pathSegment } from '../formats.ts';
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
import { parseQuantity } from '../quantity.ts';
import { addTexts, oneOf } from './checks.ts';
import type { KindRules } from './kind-rules.ts';

const SOURCES: Readonly<Record<string, string>> = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
};
const TARGET_TYPES = ['Utilization', 'Value', 'AverageValue'];
const MAX_WINDOW_SECONDS = 3600;
const MAX_PERIOD_SECONDS = 1800;

function defaults(object: UnknownObject): void {
  const spec = ensureObject(object, 'spec');
  if (!spec) return;
  spec['minReplicas'] ??= 1;
  if (arrayAt(spec, 'metrics').length === 0) {
    const target = { type: 'Utilization', averageUtilization: 80 };
    spec['metrics'] = [{ type: 'Resource', resource: { name: 'cpu', target } }];
  }
  const behavior = spec['behavior'];
  if (!isObject(behavior)) return;
  const percent = { type: 'Percent', value: 100, periodSeconds: 15 };
  defaultScaling(
    ensureObject(behavior, 'scaleUp'),
    [{ type: 'Pods', value: 4, periodSeconds: 15 }, percent],
    0,
  );
  defaultScaling(ensureObject(behavior, 'scaleDown'), [percent], undefined);
}

function defaultScaling(
  rules: JsonObject | undefined,
  policies: readonly JsonObject[],
  windowSeconds: number | undefined,
): void {
  if (!rules) return;
  setDefault(rules, 'selectPolicy', 'Max');
  if (windowSeconds !== undefined) rules['stabilizationWindowSeconds'] ??= windowSeconds;
  if (!Array.isArray(rules['policies'])) rules['policies'] = policies.map((one) => ({ ...one }));
}

function validate(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  const min = numberAt(spec, 'minReplicas');
  const max = numberAt(spec, 'maxReplicas') ?? 0;
  if (min !== undefined && min < 1)
    errors.push(invalid('spec.minReplicas', min, 'must be greater than or equal to 1'));
  if (max < 1) errors.push(invalid('spec.maxReplicas', max, 'must be greater than 0'));
  if (min !== undefined && max < min) {
    errors.push(invalid('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`'));
  }
  const target = objectAt(spec, 'scaleTargetRef');
  for (const name of ['kind', 'name']) {
    const value = stringAt(target, name);
    if (value === '') errors.push(required(`spec.scaleTargetRef.${name}`));
    else addTexts(errors, `spec.scaleTargetRef.${name}`, value, pathSegment(value));
  }
  validateTargetVersion(errors, stringAt(target, 'apiVersion'));
  const external = objectsAt(spec, 'metrics').some(({ type }) => type === 'Object' || type === 'External');
  if (min === 0 && !external) {
    const text = 'must specify at least one Object or External metric to support scaling to zero replicas';
    errors.push(forbidden('spec.metrics', text));
  }
  for (const [index, metric] of objectsAt(spec, 'metrics').entries()) {
    validateMetric(errors, metric, `spec.metrics[${index}]`);
  }
  for (const direction of ['scaleUp', 'scaleDown']) {
    const rules = objectAt(spec['behavior'], direction);
    if (isObject(objectAt(spec, 'behavior')[direction]))
      validateScaling(errors, rules, `spec.behavior.${direction}`);
  }
  return errors;
}

function validateTargetVersion(errors: FieldError[], apiVersion: string): void {
  const field = 'spec.scaleTargetRef.apiVersion';
  if (apiVersion === '') errors.push(invalid(field, '', 'apiVersion must specify API group'));
  else if (apiVersion.split('/').length > 2)
    errors.push(invalid(field, apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
}

function validateMetric(errors: FieldError[], metric: JsonObject, path: string): void {
  oneOf(errors, metric, 'type', path, Object.keys(SOURCES), true);
  const wanted = SOURCES[stringAt(metric, 'type')];
  if (!wanted) {
    // Upstream looks twice: at the type alone, and at what goes with it.
    if (stringAt(metric, 'type') !== '') oneOf(errors, metric, 'type', path, Object.keys(SOURCES));
    return;
  }
  const source = metric[wanted];
  if (!isObject(source)) {
    errors.push(required(`${path}.${wanted}`, `must populate information for the given metric source`));
    return;
  }
  for (const other of Object.values(SOURCES)) {
    if (other !== wanted && isObject(metric[other])) {
      errors.push(forbidden(`${path}.${other}`, 'must populate the given metric source only'));
    }
  }
  if (wanted === 'resource' || wanted === 'containerResource') {
    if (stringAt(source, 'name') === '')
      errors.push(required(`${path}.${wanted}.name`, 'must specify a resource name'));
    if (wanted === 'containerResource' && stringAt(source, 'container') === '') {
      errors.push(required(`${path}.${wanted}.container`, 'must specify a container'));
    }
  } else if (stringAt(source['metric'], 'name') === '') {
    errors.push(required(`${path}.${wanted}.metric.name`, 'must specify a metric name'));
  }
  const target = objectAt(source, 'target');
  validateTarget(errors, target, `${path}.${wanted}.target`);
  validateTargetOf(errors, wanted, source, target, `${path}.${wanted}`);
}

/** Which of a target's values a source goes by. */
function validateTargetOf(
  errors: FieldError[],
  source: string,
  metric: JsonObject,
  target: JsonObject,
  path: string,
): void {
  const at = `${path}.target`;
  const [average, value] = [target['averageValue'], target['value']];
  if (source === 'object') {
    for (const name of ['kind', 'name']) {
      if (stringAt(metric['describedObject'], name) === '')
        errors.push(required(`${path}.describedObject.${name}`));
    }
  }
  if (source === 'pods') {
    if (average === undefined)
      errors.push(required(`${at}.averageValue`, 'must specify a positive target averageValue'));
  } else if (source === 'object' || source === 'external') {
    const text = 'must set either a target value for metric or a per-pod target';
    if (average === undefined && value === undefined) errors.push(required(`${at}.averageValue`, text));
    if (source === 'external' && average !== undefined && value !== undefined) {
      const both = 'may not set both a target value for metric and a per-pod target';
      errors.push(forbidden(`${at}.value`, both));
    }
  } else if (target['averageUtilization'] !== undefined && average !== undefined) {
    const text = 'may not set both a target raw value and a target utilization';
    errors.push(forbidden(`${at}.averageValue`, text));
  } else if (target['averageUtilization'] === undefined && average === undefined) {
    const text = 'must set either a target raw value or a target utilization';
    errors.push(required(`${at}.averageUtilization`, text));
  }
}

function validateTarget(errors: FieldError[], target: JsonObject, path: string): void {
  const type = stringAt(target, 'type');
  if (type === '') errors.push(required(`${path}.type`, 'must specify a metric target type'));
  else if (!TARGET_TYPES.includes(type)) {
    const text = 'must be either Utilization, Value, or AverageValue';
    errors.push(invalid(`${path}.type`, type, text));
  }
  const utilization = numberAt(target, 'averageUtilization');
  if (utilization !== undefined && utilization < 1) {
    errors.push(invalid(`${path}.averageUtilization`, utilization, 'must be greater than 0'));
  }
  for (const name of ['value', 'averageValue']) {
    const quantity = parseQuantity(target[name]);
    if (quantity && quantity.nano <= 0n)
      errors.push(invalid(`${path}.${name}`, target[name], 'must be positive'));
  }
}

function validateScaling(errors: FieldError[], rules: JsonObject, path: string): void {
  const window = numberAt(rules, 'stabilizationWindowSeconds');
  if (window !== undefined && (window < 0 || window > MAX_WINDOW_SECONDS)) {
    const text =
      window < 0
        ? 'must be greater than or equal to zero'
        : `must be less than or equal to ${MAX_WINDOW_SECONDS}`;
    errors.push(invalid(`${path}.stabilizationWindowSeconds`, window, text));
  }
  oneOf(errors, rules, 'selectPolicy', path, ['Disabled', 'Max', 'Min']);
  const policies = objectsAt(rules, 'policies');
  if (policies.length === 0) errors.push(required(`${path}.policies`, 'must specify at least one Policy'));
  for (const [index, policy] of policies.entries()) {
    const at = `${path}.policies[${index}]`;
    oneOf(errors, policy, 'type', at, ['Percent', 'Pods'], true);
    const value = numberAt(policy, 'value') ?? 0;
    if (value <= 0) errors.push(invalid(`${at}.value`, value, 'must be greater than zero'));
    const period = numberAt(policy, 'periodSeconds') ?? 0;
    if (period <= 0) errors.push(invalid(`${at}.periodSeconds`, period, 'must be greater than zero'));
    if (period > MAX_PERIOD_SECONDS) {
      errors.push(
        invalid(`${at}.periodSeconds`, period, `must be less than or equal to ${MAX_PERIOD_SECONDS}`),
      );
    }
  }
}

export const AUTOSCALER_RULES: KindRules = {
  shortNames: ['hpa'],
  categories: ['all'],
  defaults,
  validate,
};
