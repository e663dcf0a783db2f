/** Small checks shared by the kinds' rules. Each adds to the list it is given. */
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { labelValue, percentText, qualifiedName } from '../formats.ts';
import { percentOf } from '../int-or-string.ts';
import { arrayAt, isObject, type JsonObject, objectAt, objectsAt, stringAt, textOf } from '../json-value.ts';

const NEGATIVE = 'must be greater than or equal to 0';

/** Adds one `Invalid value` per text. */
export function addTexts(
  errors: FieldError[],
  field: string,
  value: unknown,
  texts: readonly string[],
): void {
  for (const text of texts) errors.push(invalid(field, value, text));
}

/** A number that is there must not be negative. */
export function nonNegative(errors: FieldError[], parent: unknown, name: string, path: string): void {
  const value = isObject(parent) ? parent[name] : undefined;
  if (typeof value === 'number' && value < 0) errors.push(invalid(`${path}.${name}`, value, NEGATIVE));
}

/** A text field that is there must be one of the values, told in this order; with `must` it has to be there. */
export function oneOf(
  errors: FieldError[],
  parent: unknown,
  name: string,
  path: string,
  values: readonly string[],
  must = false,
): void {
  const value = isObject(parent) ? parent[name] : undefined;
  const field = path ? `${path}.${name}` : name;
  if (value === undefined || value === null || value === '') {
    if (must) errors.push(required(field));
    return;
  }
  if (typeof value !== 'string' || !values.includes(value)) {
    errors.push(notSupported(field, value, values));
  }
}

/** A number or a percentage, not negative. */
export function intOrPercent(errors: FieldError[], value: unknown, field: string): void {
  if (value === undefined || value === null) return;
  if (typeof value === 'number') {
    if (value < 0) errors.push(invalid(field, value, NEGATIVE));
    return;
  }
  addTexts(errors, field, value, percentText(textOf(value)));
}

/** Percentages above 100 % make no sense for a part of the replicas. */
export function notAbove100Percent(errors: FieldError[], value: unknown, field: string): void {
  const percent = percentOf(value);
  if (percent !== undefined && percent > 100)
    errors.push(invalid(field, value, 'must not be greater than 100%'));
}

/** A meta/v1 LabelSelector. */
export function validateSelector(errors: FieldError[], selector: unknown, path: string): void {
  validateSelectorLabels(errors, objectAt(selector, 'matchLabels'), `${path}.matchLabels`);
  for (const [index, one] of objectsAt(selector, 'matchExpressions').entries()) {
    validateRequirement(errors, one, `${path}.matchExpressions[${index}]`);
  }
}

function validateSelectorLabels(errors: FieldError[], labels: JsonObject, field: string): void {
  for (const [key, value] of Object.entries(labels)) {
    addTexts(errors, field, key, qualifiedName(key));
    addTexts(errors, field, value, labelValue(String(value)));
  }
}

/** Whether values go with the operator of a requirement; false when it is none that all selectors have. */
export function validateSetOperator(errors: FieldError[], one: JsonObject, path: string): boolean {
  const operator = stringAt(one, 'operator');
  const values = arrayAt(one, 'values');
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0)
      errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    return true;
  }
  if (operator !== 'Exists' && operator !== 'DoesNotExist') return false;
  const text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
  if (values.length > 0) errors.push(forbidden(`${path}.values`, text));
  return true;
}

export function unknownOperator(one: JsonObject, path: string): FieldError {
  return invalid(`${path}.operator`, stringAt(one, 'operator'), 'not a valid selector operator');
}

function validateRequirement(errors: FieldError[], one: JsonObject, path: string): void {
  const values = arrayAt(one, 'values');
  if (!validateSetOperator(errors, one, path)) errors.push(unknownOperator(one, path));
  addTexts(errors, `${path}.key`, one['key'], qualifiedName(stringAt(one, 'key')));
  for (const [index, value] of values.entries()) {
    addTexts(errors, `${path}.values[${index}]`, value, labelValue(String(value)));
  }
}

/** True for a selector that selects everything: nothing in it. */
export function isEmptySelector(selector: unknown): boolean {
  return (
    Object.keys(objectAt(selector, 'matchLabels')).length === 0 &&
    arrayAt(selector, 'matchExpressions').length === 0
  );
}
