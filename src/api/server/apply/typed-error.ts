import { isObject, type JsonObject, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { Schema } from '../../kinds/schema/schema.ts';
import { StatusError } from '../status.ts';

/**
 * What an applied configuration must be to be merged: of the schema's types, with no field it does not know, and no
 * item twice in a list with keys. Upstream answers 500, in these words (structured-merge-diff).
 */
export function typedPatchError(
  configuration: UnknownObject,
  schema: Schema,
  about: { readonly group: string; readonly version: string; readonly kind: string },
): StatusError | undefined {
  const errors = typedErrors(configuration, schema, '');
  if (errors.length === 0) return undefined;
  const { metadata } = configuration;
  const name = `${stringAt(metadata, 'namespace')}/${stringAt(metadata, 'name')}`;
  const type = `${about.group ? `${about.group}/` : '/'}${about.version}, Kind=${about.kind}`;
  const text = errors.length === 1 ? errors[0] : ['errors:', ...errors.map((one) => `  ${one}`)].join('\n');
  return new StatusError(500, '', `failed to create typed patch object (${name}; ${type}): ${text}`);
}

function typedErrors(value: unknown, schema: Schema, path: string): string[] {
  if (value === null || value === undefined) return [];
  switch (schema.type) {
    case 'object':
    case 'map':
      return isObject(value)
        ? fieldErrors(value, schema, path)
        : [`${path}: expected map, got ${shown(value)}`];
    case 'list':
      return Array.isArray(value)
        ? itemErrors(value, schema, path)
        : [`${path}: expected list, got ${shown(value)}`];
    case 'string':
      return typeof value === 'string'
        ? []
        : [`${path}: expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`];
    case 'integer':
    case 'number':
      return typeof value === 'number'
        ? []
        : [`${path}: expected numeric (int or float), got ${goType(value)}`];
    case 'boolean':
      return typeof value === 'boolean' ? [] : [`${path}: expected boolean, got ${shown(value)}`];
    // What may be written in several types is judged when it is read.
    case 'quantity':
    case 'int-or-string':
    case 'any':
      return [];
  }
}

function fieldErrors(value: JsonObject, schema: Schema, path: string): string[] {
  return Object.entries(value).flatMap(([name, item]) => {
    const at = `${path}.${name}`;
    const field = schema.field(name);
    if (field) return typedErrors(item, field, at);
    return schema.preserveUnknown ? [] : [`${at}: field not declared in schema`];
  });
}

function itemErrors(list: readonly unknown[], schema: Schema, path: string): string[] {
  const items = schema.items();
  const seen = new Set<string>();
  return list.flatMap((item, index) => {
    if (!items) return [];
    if (schema.listType === 'atomic') return typedErrors(item, items, `${path}[${index}]`);
    if (schema.listType === 'map' && !isObject(item))
      return [`${path}: element ${index}: associative list with keys may not have non-map elements`];
    const key = keyText(item, schema);
    if (seen.has(key)) return [`${path}: duplicate entries for key ${key}`];
    seen.add(key);
    return typedErrors(item, items, `${path}${key}`);
  });
}

/** `[port=80,protocol="TCP"]`, of a set `[="a"]`. */
function keyText(item: unknown, schema: Schema): string {
  if (!isObject(item)) return `[=${JSON.stringify(item)}]`;
  const parts = [...schema.listMapKeys].sort().flatMap((name) => {
    const value = item[name] ?? schema.items()?.field(name)?.default;
    return value === undefined ? [] : [`${name}=${JSON.stringify(value)}`];
  });
  return `[${parts.join(',')}]`;
}

/** As Go prints a pointer to what holds the value. */
function shown(value: unknown): string {
  return `&{${goText(value)}}`;
}

/** Go's %v. */
function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (!isObject(value)) return String(value);
  const pairs = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `map[${pairs.map(([name, item]) => `${name}:${goText(item)}`).join(' ')}]`;
}

/** Go's %#v. */
function goSyntax(value: unknown): string {
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (!isObject(value)) return JSON.stringify(value);
  const pairs = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  const texts = pairs.map(([name, item]) => `${JSON.stringify(name)}:${goSyntax(item)}`);
  return `map[string]interface {}{${texts.join(', ')}}`;
}

/** Go's %T of decoded JSON. */
function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  return isObject(value) ? 'map[string]interface {}' : typeof value === 'boolean' ? 'bool' : 'string';
}
