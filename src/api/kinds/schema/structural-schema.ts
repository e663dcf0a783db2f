import { arrayAt, isObject, stringAt } from '../json-value.ts';
import type { Schema, SchemaType } from './schema.ts';
import { builtinSchema } from './builtin-schema.ts';

const TYPES: ReadonlySet<string> = new Set(['string', 'integer', 'number', 'boolean']);

/**
 * Schema of a custom resource from the `openAPIV3Schema` of its CRD version. apiVersion, kind and metadata
 * are those of every object, whatever the document says about them.
 */
export function structuralSchema(openApiSchema: unknown): Schema {
  const root = nodeOf(openApiSchema);
  const deployment = builtinSchema('apps/v1.Deployment');
  const own = new Set(['apiVersion', 'kind', 'metadata']);
  return {
    ...root,
    type: 'object',
    fieldNames: () => [...new Set([...own, ...root.fieldNames()])],
    field: (name) => (own.has(name) ? deployment.field(name) : root.field(name)),
  };
}

function nodeOf(document: unknown): Schema {
  const source = isObject(document) ? document : {};
  const properties = isObject(source['properties']) ? source['properties'] : {};
  const values = source['additionalProperties'];
  const items = source['items'];
  const fields = new Map<string, Schema>();
  const listType = stringAt(source, 'x-kubernetes-list-type');
  let element: Schema | undefined;
  const elementOf = (): Schema | undefined => {
    const inner = items ?? (isObject(values) || values === true ? values : undefined);
    if (inner !== undefined) element ??= nodeOf(inner);
    return element;
  };
  return {
    type: typeOf(source),
    listType: listType === 'map' || listType === 'set' ? listType : 'atomic',
    listMapKeys: arrayAt(source, 'x-kubernetes-list-map-keys').filter((key) => typeof key === 'string'),
    mapType: source['x-kubernetes-map-type'] === 'atomic' ? 'atomic' : 'granular',
    patchMergeKey: undefined,
    patchStrategy: [],
    required: arrayAt(source, 'required').filter((name) => typeof name === 'string'),
    default: source['default'],
    format: stringAt(source, 'format') || undefined,
    preserveUnknown: source['x-kubernetes-preserve-unknown-fields'] === true || typeOf(source) === 'any',
    embedded: source['x-kubernetes-embedded-resource'] === true,
    written: false,
    definition: undefined,
    fieldNames: () => Object.keys(properties),
    field: (name) => {
      const known = fields.get(name);
      if (known) return known;
      const embedded = embeddedField(source, name);
      if (!embedded && !Object.hasOwn(properties, name)) return elementOf();
      const made = embedded ?? nodeOf(properties[name]);
      fields.set(name, made);
      return made;
    },
    items: elementOf,
  };
}

function embeddedField(source: Record<string, unknown>, name: string): Schema | undefined {
  if (source['x-kubernetes-embedded-resource'] !== true) return undefined;
  if (name !== 'metadata' && name !== 'apiVersion' && name !== 'kind') return undefined;
  return builtinSchema('apps/v1.Deployment').field(name);
}

function typeOf(source: Record<string, unknown>): SchemaType {
  const type = stringAt(source, 'type');
  if (source['x-kubernetes-int-or-string'] === true) return 'int-or-string';
  if (type === 'array') return 'list';
  if (TYPES.has(type)) return type as SchemaType;
  if (type !== 'object') return 'any';
  return isObject(source['properties']) || !source['additionalProperties'] ? 'object' : 'map';
}
