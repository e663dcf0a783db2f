import type { Schema, SchemaType } from './schema.ts';
import { isTypeName, type TypeField, typeInfo } from './type-table.ts';

const SCALARS: Readonly<Record<string, { type: SchemaType; format?: string }>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int: { type: 'integer', format: 'int32' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  float64: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
  time: { type: 'string', format: 'date-time' },
  microtime: { type: 'string', format: 'date-time' },
  duration: { type: 'string' },
  quantity: { type: 'quantity' },
  intstr: { type: 'int-or-string', format: 'int-or-string' },
};

const cache = new Map<string, Schema>();
const fieldCache = new WeakMap<TypeField, Schema>();

/** Schema of a built-in type (`apps/v1.Deployment`); throws for a name that is not in the generated table. */
export function builtinSchema(name: string): Schema {
  const known = cache.get(name);
  if (known) return known;
  if (!typeInfo(name)) throw new Error(`no generated type ${name}`);
  const schema = typeSchema(name);
  cache.set(name, schema);
  return schema;
}

interface Extras {
  readonly mapType?: 'granular' | 'atomic';
  readonly patchStrategy?: readonly string[];
  readonly default?: unknown;
  readonly written?: boolean;
}

function typeSchema(name: string, extras: Extras = {}): Schema {
  const info = typeInfo(name);
  const fields = info?.fields ?? new Map<string, TypeField>();
  return {
    ...node('object'),
    ...extras,
    mapType: info?.atomic ? 'atomic' : (extras.mapType ?? 'granular'),
    required: [...fields.values()].filter((field) => field.required).map((field) => field.name),
    definition: name,
    fieldNames: () => [...fields.keys()],
    field: (one) => {
      const field = fields.get(one);
      return field && fieldSchema(field);
    },
  };
}

/** Schema of one field, extensions included. */
export function fieldSchema(field: TypeField): Schema {
  const known = fieldCache.get(field);
  if (known) return known;
  const schema = makeFieldSchema(field);
  fieldCache.set(field, schema);
  return schema;
}

/** Structs by value are written unless `omitzero` says otherwise; `omitempty` has no effect on them. */
function isWritten({ base, list, map, pointer, omitEmpty, omitZero }: TypeField): boolean {
  if (pointer) return false;
  return !list && !map && isTypeName(base) ? !omitZero : !omitEmpty;
}

function makeFieldSchema(field: TypeField): Schema {
  const extras: Extras = {
    mapType: field.atomic ? 'atomic' : 'granular',
    patchStrategy: field.patchStrategy,
    default: field.default,
    written: isWritten(field),
  };
  if (!field.list && !field.map) return { ...baseSchema(field.base, extras) };
  const items = baseSchema(field.base, {});
  if (field.map) return { ...node('map'), ...extras, items: () => items, field: () => items };
  return {
    ...node('list'),
    ...extras,
    listType: field.listType,
    listMapKeys: field.listMapKeys,
    patchMergeKey: field.patchMergeKey,
    items: () => items,
  };
}

function baseSchema(base: string, extras: Extras): Schema {
  if (isTypeName(base)) {
    const plain = Object.keys(extras).length === 0;
    return plain ? builtinSchema(base) : typeSchema(base, extras);
  }
  if (base === 'stringlist') {
    const item = node('string');
    return { ...node('list'), ...extras, items: () => item };
  }
  const scalar = SCALARS[base];
  if (scalar) return { ...node(scalar.type), ...extras, format: scalar.format };
  return { ...node('any'), ...extras, preserveUnknown: true };
}

function node(type: SchemaType): Schema {
  return {
    type,
    listType: 'atomic',
    listMapKeys: [],
    mapType: 'granular',
    patchMergeKey: undefined,
    patchStrategy: [],
    required: [],
    default: undefined,
    format: undefined,
    preserveUnknown: false,
    embedded: false,
    written: false,
    definition: undefined,
    fieldNames: () => [],
    field: () => undefined,
    items: () => undefined,
  };
}
