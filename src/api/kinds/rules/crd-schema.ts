import { RE2JS } from 're2js';
import { messageOf } from '../../../base/fault.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { applySchemaDefaults } from '../custom/defaults.ts';
import { ruleErrors } from '../custom/rule-checks.ts';
import { validateBySchema } from '../custom/schema-rules.ts';
import { arrayAt, cloneJson, isObject, type JsonObject, stringAt } from '../json-value.ts';
import { MAX_CRD_SCHEMA_DEPTH, MAX_FIELD_ERRORS } from '../limits.ts';

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
/** Junctors inside which only value constraints may stand. */
const JUNCTORS = ['allOf', 'anyOf', 'oneOf'];
const FORBIDDEN = [
  'definitions',
  'dependencies',
  'id',
  '$ref',
  '$schema',
  'patternProperties',
  'additionalItems',
];

/**
 * Rules of a structural schema (apiextensions docs, "Specifying a structural schema"): every field has a type,
 * junctors only constrain, list-map keys exist and are required, expressions fit and are not too costly.
 * @param changed false for a schema that stays as it was
 */
export function validateStructuralSchema(
  errors: FieldError[],
  root: JsonObject,
  path: string,
  changed: boolean,
): void {
  if (stringAt(root, 'type') === '') errors.push(required(`${path}.type`, 'must not be empty at the root'));
  else if (root['type'] !== 'object')
    errors.push(invalid(`${path}.type`, root['type'], 'must be object at the root'));
  validateNode(errors, root, path, 0, true);
  if (errors.length === 0) errors.push(...ruleErrors(root, path, changed));
}

function validateNode(
  errors: FieldError[],
  node: JsonObject,
  path: string,
  depth: number,
  root: boolean,
): void {
  if (errors.length >= MAX_FIELD_ERRORS) return;
  if (depth > MAX_CRD_SCHEMA_DEPTH) {
    errors.push(invalid(path, '', `must not nest deeper than ${MAX_CRD_SCHEMA_DEPTH} levels`));
    return;
  }
  for (const name of FORBIDDEN) {
    if (node[name] !== undefined) errors.push(forbidden(`${path}.${name}`, `${name} is not supported`));
  }
  if (node['uniqueItems'] === true)
    errors.push(
      forbidden(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  const type = stringAt(node, 'type');
  const anything =
    node['x-kubernetes-int-or-string'] === true || node['x-kubernetes-preserve-unknown-fields'] === true;
  if (type === '' && !anything && !root) {
    errors.push(required(`${path}.type`, 'must not be empty for specified object fields'));
  } else if (type !== '' && !TYPES.includes(type)) errors.push(notSupported(`${path}.type`, type, TYPES));
  if (isObject(node['properties']) && node['additionalProperties'] !== undefined) {
    errors.push(
      forbidden(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'),
    );
  }
  validatePattern(errors, node, path);
  if (node['default'] !== undefined) validateDefault(errors, node, path);
  validateListType(errors, node, path);
  for (const junctor of JUNCTORS) {
    for (const [index, one] of arrayAt(node, junctor).entries())
      validateConstraint(errors, one, `${path}.${junctor}[${index}]`, depth + 1);
  }
  if (isObject(node['not'])) validateConstraint(errors, node['not'], `${path}.not`, depth + 1);
  validateChildren(errors, node, path, depth);
}

function validateChildren(errors: FieldError[], node: JsonObject, path: string, depth: number): void {
  for (const [name, child] of Object.entries(isObject(node['properties']) ? node['properties'] : {})) {
    if (isObject(child)) validateNode(errors, child, `${path}.properties[${name}]`, depth + 1, false);
  }
  const values = node['additionalProperties'];
  if (isObject(values)) validateNode(errors, values, `${path}.additionalProperties`, depth + 1, false);
  const items = node['items'];
  if (isObject(items)) validateNode(errors, items, `${path}.items`, depth + 1, false);
  else if (Array.isArray(items))
    errors.push(forbidden(`${path}.items`, 'items must be a schema object and not an array'));
  else if (node['type'] === 'array') errors.push(required(`${path}.items`, 'must be specified'));
}

/** Inside a junctor: no types, defaults or extensions of its own. */
function validateConstraint(errors: FieldError[], node: unknown, path: string, depth: number): void {
  if (!isObject(node) || depth > MAX_CRD_SCHEMA_DEPTH || errors.length >= MAX_FIELD_ERRORS) return;
  for (const name of ['description', 'default', 'additionalProperties', 'nullable', 'title']) {
    if (node[name] !== undefined && node[name] !== '' && node[name] !== false) {
      errors.push(forbidden(`${path}.${name}`, 'must be undefined to be structural'));
    }
  }
  if (stringAt(node, 'type') !== '') errors.push(forbidden(`${path}.type`, 'must be empty to be structural'));
  for (const [name, child] of Object.entries(isObject(node['properties']) ? node['properties'] : {})) {
    validateConstraint(errors, child, `${path}.properties[${name}]`, depth + 1);
  }
  validateConstraint(errors, node['items'], `${path}.items`, depth + 1);
}

/** What is filled in must fit where it is filled in. */
function validateDefault(errors: FieldError[], node: JsonObject, path: string): void {
  const found: FieldError[] = [];
  const value = cloneJson(node['default']);
  applySchemaDefaults(value, node);
  validateBySchema({ value, old: undefined, path: `${path}.default` }, node, found);
  errors.push(...found);
}

function validatePattern(errors: FieldError[], node: JsonObject, path: string): void {
  const pattern = stringAt(node, 'pattern');
  if (pattern === '') return;
  try {
    // Go's syntax, linear time.
    RE2JS.compile(pattern);
  } catch (error) {
    const text = `must be a valid regular expression, but isn't: ${messageOf(error)}`;
    errors.push(invalid(`${path}.pattern`, pattern, text));
  }
}

function validateListType(errors: FieldError[], node: JsonObject, path: string): void {
  const listType = stringAt(node, 'x-kubernetes-list-type');
  const keys = arrayAt(node, 'x-kubernetes-list-map-keys').map(String);
  if (listType === '') {
    if (keys.length > 0) {
      const text = 'must be map if x-kubernetes-list-map-keys is non-empty';
      errors.push(required(`${path}.x-kubernetes-list-type`, text));
    }
    return;
  }
  if (node['type'] !== 'array')
    errors.push(
      invalid(`${path}.type`, stringAt(node, 'type'), 'must be array if x-kubernetes-list-type is specified'),
    );
  if (!['atomic', 'map', 'set'].includes(listType)) {
    errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']));
  }
  if (listType !== 'map') return;
  if (keys.length === 0) {
    const text = 'must not be empty if x-kubernetes-list-type is map';
    errors.push(required(`${path}.x-kubernetes-list-map-keys`, text));
  }
  const items = isObject(node['items']) ? node['items'] : {};
  const properties = isObject(items['properties']) ? items['properties'] : {};
  const needed = arrayAt(items, 'required');
  for (const [index, key] of keys.entries()) {
    const property = properties[key];
    if (!isObject(property)) {
      errors.push(
        invalid(`${path}.x-kubernetes-list-map-keys[${index}]`, key, 'must refer to a field of the items'),
      );
    } else if (!needed.includes(key) && property['default'] === undefined) {
      const text =
        'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
      errors.push(required(`${path}.items.properties[${key}].default`, text));
    }
  }
}
