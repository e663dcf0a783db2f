import { RE2JS } from 're2js';
import type { FieldError } from '../field-error.ts';
import { invalid, notSupported, required, tooLong, tooMany } from '../field-error.ts';
import { arrayAt, equalJson, isObject, type JsonObject, stringAt } from '../json-value.ts';
import { MAX_FIELD_ERRORS } from '../limits.ts';
import { fitsFormat } from './formats.ts';
import { listTypeErrors } from './list-types.ts';

/** What is checked: the value, what it was before a change (undefined for new ones), where it is. */
export interface Place {
  readonly value: unknown;
  readonly old: unknown;
  readonly path: string;
}

/**
 * Rules of a structural schema (JSON schema as apiextensions speaks it), with the wording of upstream. Parts that a
 * change leaves as they were are not judged again (KEP-4008, ratcheting). Adds to `errors`, never throws.
 */
export function validateBySchema(place: Place, schema: JsonObject, errors: FieldError[]): void {
  if (errors.length >= MAX_FIELD_ERRORS) return;
  if (place.old !== undefined && equalJson(place.value, place.old)) return;
  checkValue(place, schema, errors);
  checkChildren(place, schema, errors);
  errors.push(...listTypeErrors(place, schema));
}

/** Everything but children of declared structure: also what stands inside a junctor. */
function checkValue(place: Place, schema: JsonObject, errors: FieldError[]): void {
  const { value, path } = place;
  if (value === null && schema['nullable'] === true) return;
  const type = wantedType(schema);
  if (type && !isType(value, type)) {
    errors.push(wrongType(path, type, value));
    return;
  }
  checkEnum(place, schema, errors);
  if (typeof value === 'string') checkString(value, path, schema, errors);
  if (typeof value === 'number') checkNumber(value, path, schema, errors);
  if (Array.isArray(value)) checkCount(value.length, 'Items', 'items', path, schema, errors);
  if (isObject(value)) checkObject(value, path, schema, errors);
  checkJunctors(place, schema, errors);
}

function wantedType(schema: JsonObject): string {
  return schema['x-kubernetes-int-or-string'] === true ? 'integer,string' : stringAt(schema, 'type');
}

function isType(value: unknown, type: string): boolean {
  switch (type) {
    case 'string':
      return typeof value === 'string';
    case 'integer':
      return Number.isInteger(value);
    case 'integer,string':
      return typeof value === 'string' || Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'boolean':
      return typeof value === 'boolean';
    case 'array':
      return Array.isArray(value);
    default:
      return isObject(value);
  }
}

function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function wrongType(path: string, type: string, value: unknown): FieldError {
  const is = jsonType(value);
  return {
    reason: 'FieldValueTypeInvalid',
    field: path || '<nil>',
    message: `Invalid value: ${JSON.stringify(is)}: ${path || '<nil>'} in body must be of type ${type}: ${JSON.stringify(is)}`,
  };
}

const wrong = (path: string, value: unknown, rule: string): FieldError =>
  invalid(path || '<nil>', value, `${path || '<nil>'} in body ${rule}`);

function checkEnum({ value, path }: Place, schema: JsonObject, errors: FieldError[]): void {
  const allowed = schema['enum'];
  if (!Array.isArray(allowed) || (allowed as unknown[]).some((one) => equalJson(one, value))) return;
  const texts = (allowed as unknown[]).map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
  errors.push(notSupported(path, value, texts));
}

const patterns = new WeakMap<JsonObject, RE2JS>();

/** RE2: linear time whatever the pattern. Patterns were compiled once when the definition was accepted. */
function patternOf(schema: JsonObject, pattern: string): RE2JS {
  let compiled = patterns.get(schema);
  if (!compiled) {
    compiled = RE2JS.compile(pattern);
    patterns.set(schema, compiled);
  }
  return compiled;
}

function checkString(value: string, path: string, schema: JsonObject, errors: FieldError[]): void {
  const { maxLength, minLength } = schema;
  const length = lengthOf(value);
  if (typeof maxLength === 'number' && length > maxLength) errors.push(tooLong(path, maxLength));
  if (typeof minLength === 'number' && length < minLength) {
    errors.push(wrong(path, value, `should be at least ${minLength} chars long`));
  }
  const pattern = stringAt(schema, 'pattern');
  if (pattern && !patternOf(schema, pattern).matcher(value).find()) {
    errors.push(wrong(path, value, `should match '${pattern}'`));
  }
  const format = stringAt(schema, 'format');
  if (format && !fitsFormat(value, format)) {
    errors.push(wrong(path, value, `must be of type ${format}: ${JSON.stringify(value)}`));
  }
}

/** Code points, as the schema counts. */
function lengthOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

const INTEGER_RANGES: Readonly<Record<string, number>> = { int32: 2 ** 31, int64: 2 ** 63 };

function checkNumber(value: number, path: string, schema: JsonObject, errors: FieldError[]): void {
  const { maximum, minimum, multipleOf } = schema;
  if (typeof maximum === 'number') {
    const exclusive = schema['exclusiveMaximum'] === true;
    if (exclusive ? value >= maximum : value > maximum) {
      errors.push(wrong(path, value, `should be less than ${exclusive ? '' : 'or equal to '}${maximum}`));
    }
  }
  if (typeof minimum === 'number') {
    const exclusive = schema['exclusiveMinimum'] === true;
    if (exclusive ? value <= minimum : value < minimum) {
      errors.push(wrong(path, value, `should be greater than ${exclusive ? '' : 'or equal to '}${minimum}`));
    }
  }
  if (typeof multipleOf === 'number' && multipleOf !== 0 && !Number.isInteger(value / multipleOf)) {
    errors.push(wrong(path, value, `should be a multiple of ${multipleOf}`));
  }
  const range = schema['type'] === 'integer' ? INTEGER_RANGES[stringAt(schema, 'format')] : undefined;
  if (range !== undefined && (value >= range || value < -range)) {
    errors.push(wrong(path, value, `must be of type ${stringAt(schema, 'format')}: ${value}`));
  }
}

function checkCount(
  count: number,
  suffix: 'Items' | 'Properties',
  noun: string,
  path: string,
  schema: JsonObject,
  errors: FieldError[],
): void {
  const most = schema[`max${suffix}`];
  const least = schema[`min${suffix}`];
  if (typeof most === 'number' && count > most) errors.push(tooMany(path, count, most));
  if (typeof least === 'number' && count < least) {
    errors.push(wrong(path, count, `should have at least ${least} ${noun}`));
  }
}

function checkObject(value: JsonObject, path: string, schema: JsonObject, errors: FieldError[]): void {
  checkCount(Object.keys(value).length, 'Properties', 'properties', path, schema, errors);
  for (const name of arrayAt(schema, 'required')) {
    if (typeof name === 'string' && !Object.hasOwn(value, name)) errors.push(required(childPath(path, name)));
  }
  if (schema['x-kubernetes-embedded-resource'] !== true) return;
  for (const name of ['apiVersion', 'kind']) {
    if (stringAt(value, name) === '') errors.push(required(childPath(path, name), 'must not be empty'));
  }
}

function checkJunctors(place: Place, schema: JsonObject, errors: FieldError[]): void {
  const { path } = place;
  const fits = (one: unknown): boolean => {
    const found: FieldError[] = [];
    if (isObject(one)) checkConstraint(place, one, found);
    return found.length === 0;
  };
  for (const one of arrayAt(schema, 'allOf')) if (isObject(one)) checkConstraint(place, one, errors);
  const anyOf = arrayAt(schema, 'anyOf');
  if (anyOf.length > 0 && !anyOf.some(fits)) {
    errors.push(wrong(path, '', 'must validate at least one schema (anyOf)'));
  }
  const oneOf = arrayAt(schema, 'oneOf');
  if (oneOf.length > 0) {
    const count = oneOf.filter(fits).length;
    const found = count === 0 ? 'Found none valid' : `Found ${count} valid alternatives`;
    if (count !== 1) {
      errors.push(wrong(path, '', `must validate one and only one schema (oneOf). ${found}`));
    }
  }
  if (isObject(schema['not']) && fits(schema['not'])) {
    errors.push(wrong(path, '', 'must not validate the schema (not)'));
  }
}

/** A schema inside a junctor constrains values and, by property, their children. */
function checkConstraint(place: Place, schema: JsonObject, errors: FieldError[]): void {
  if (errors.length >= MAX_FIELD_ERRORS) return;
  checkValue(place, schema, errors);
  const { value, path } = place;
  const properties = schema['properties'];
  if (isObject(properties) && isObject(value)) {
    for (const [name, child] of Object.entries(properties)) {
      if (!isObject(child) || !Object.hasOwn(value, name)) continue;
      checkConstraint({ value: value[name], old: undefined, path: childPath(path, name) }, child, errors);
    }
  }
  const { items } = schema;
  if (!isObject(items) || !Array.isArray(value)) return;
  for (const [index, one] of (value as unknown[]).entries()) {
    checkConstraint({ value: one, old: undefined, path: `${path}[${index}]` }, items, errors);
  }
}

function checkChildren({ value, old, path }: Place, schema: JsonObject, errors: FieldError[]): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (!isObject(items)) return;
    const before = Array.isArray(old) ? (old as unknown[]) : [];
    for (const [index, one] of (value as unknown[]).entries()) {
      validateBySchema({ value: one, old: before[index], path: `${path}[${index}]` }, items, errors);
    }
    return;
  }
  if (!isObject(value)) return;
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const others = schema['additionalProperties'];
  const before = isObject(old) ? old : {};
  for (const name of Object.keys(value)) {
    const child = Object.hasOwn(properties, name) ? properties[name] : others;
    if (!isObject(child) || isTypeMeta(path, name)) continue;
    validateBySchema({ value: value[name], old: before[name], path: childPath(path, name) }, child, errors);
  }
}

/** Checked for every object by the same rules, whatever the schema says. */
function isTypeMeta(path: string, name: string): boolean {
  return path === '' && (name === 'apiVersion' || name === 'kind' || name === 'metadata');
}

export const childPath = (path: string, name: string): string => (path ? `${path}.${name}` : name);
