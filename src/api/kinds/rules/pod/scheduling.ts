/** Tolerations, spreading, gates: where and when a pod may run. */
import { duplicate, type FieldError, invalid, notSupported, required } from '../../field-error.ts';
import { labelValue, qualifiedName } from '../../formats.ts';
import { isObject, type JsonObject, numberAt, objectsAt, stringAt } from '../../json-value.ts';
import { addTexts, oneOf, validateSelector } from '../checks.ts';
import { validateLabelKeys } from './affinity.ts';

export const TAINT_EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
const POSITIVE = 'must be greater than zero';

export function validateTolerations(errors: FieldError[], owner: unknown, path: string): void {
  for (const [index, one] of objectsAt(owner, 'tolerations').entries()) {
    validateToleration(errors, one, `${path}.tolerations[${index}]`);
  }
}

function validateToleration(errors: FieldError[], toleration: JsonObject, path: string): void {
  const key = stringAt(toleration, 'key');
  const operator = stringAt(toleration, 'operator');
  const value = stringAt(toleration, 'value');
  if (key !== '') addTexts(errors, `${path}.key`, key, qualifiedName(key));
  else if (operator !== 'Exists') {
    const text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
    errors.push(invalid(`${path}.operator`, operator, text));
  }
  const effect = stringAt(toleration, 'effect');
  if (toleration['tolerationSeconds'] !== undefined && effect !== 'NoExecute') {
    const text = "effect must be 'NoExecute' when `tolerationSeconds` is set";
    errors.push(invalid(`${path}.effect`, effect, text));
  }
  if (operator === 'Equal' || operator === '') {
    const texts = labelValue(value);
    if (texts.length > 0) errors.push(invalid(`${path}.operator`, value, texts.join(';')));
  } else if (operator === 'Exists') {
    if (value !== '')
      errors.push(invalid(`${path}.operator`, value, "value must be empty when `operator` is 'Exists'"));
  } else errors.push(notSupported(`${path}.operator`, operator, ['Equal', 'Exists']));
  oneOf(errors, toleration, 'effect', path, TAINT_EFFECTS);
}

export function validateSpread(errors: FieldError[], spec: JsonObject, path: string): void {
  const constraints = objectsAt(spec, 'topologySpreadConstraints');
  for (const [index, one] of constraints.entries()) {
    const at = `${path}.topologySpreadConstraints[${index}]`;
    const skew = numberAt(one, 'maxSkew') ?? 0;
    if (skew <= 0) errors.push(invalid(`${at}.maxSkew`, skew, POSITIVE));
    const key = stringAt(one, 'topologyKey');
    if (key === '') errors.push(required(`${at}.topologyKey`, 'can not be empty'));
    const action = stringAt(one, 'whenUnsatisfiable');
    if (action !== 'DoNotSchedule' && action !== 'ScheduleAnyway') {
      errors.push(notSupported(`${at}.whenUnsatisfiable`, action, ['DoNotSchedule', 'ScheduleAnyway']));
    }
    const repeated = constraints
      .slice(index + 1)
      .some((other) => other['topologyKey'] === key && other['whenUnsatisfiable'] === action);
    if (repeated) errors.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, `{${key}, ${action}}`));
    validateMinDomains(errors, one, at, action);
    for (const name of ['nodeAffinityPolicy', 'nodeTaintsPolicy'])
      oneOf(errors, one, name, at, ['Honor', 'Ignore']);
    validateLabelKeys(errors, one, `${at}.matchLabelKeys`, 'matchLabelKeys');
    if (isObject(one['labelSelector'])) validateSelector(errors, one['labelSelector'], `${at}.labelSelector`);
  }
}

function validateMinDomains(errors: FieldError[], one: JsonObject, at: string, action: string): void {
  const domains = numberAt(one, 'minDomains');
  if (domains === undefined) return;
  if (domains <= 0) errors.push(invalid(`${at}.minDomains`, domains, POSITIVE));
  if (action !== 'DoNotSchedule') {
    const text = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`;
    errors.push(invalid(`${at}.minDomains`, domains, text));
  }
}

export function validateGates(errors: FieldError[], spec: JsonObject, path: string): void {
  for (const [index, gate] of objectsAt(spec, 'readinessGates').entries()) {
    const type = stringAt(gate, 'conditionType');
    addTexts(errors, `${path}.readinessGates[${index}].conditionType`, type, qualifiedName(type));
  }
  const seen = new Set<string>();
  for (const [index, gate] of objectsAt(spec, 'schedulingGates').entries()) {
    const name = stringAt(gate, 'name');
    const field = `${path}.schedulingGates[${index}]`;
    addTexts(errors, field, name, qualifiedName(name));
    if (seen.has(name)) errors.push(duplicate(field, name));
    seen.add(name);
  }
}
