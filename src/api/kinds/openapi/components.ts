import type { JsonObject } from '../json-value.ts';
import { isTypeName, type TypeField, typeInfo } from '../schema/type-table.ts';
import type { Descriptions } from './descriptions.ts';
import { componentName } from './names.ts';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const EXTENSIONS = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1';

/** Special types are components of their own; the document of each group-version carries those it uses. */
const SPECIAL: Readonly<Record<string, readonly [name: string, schema: JsonObject]>> = {
  time: [`${META}.Time`, { type: 'string', format: 'date-time' }],
  microtime: [`${META}.MicroTime`, { type: 'string', format: 'date-time' }],
  fieldsv1: [`${META}.FieldsV1`, { type: 'object' }],
  quantity: [
    'io.k8s.apimachinery.pkg.api.resource.Quantity',
    { oneOf: [{ type: 'string' }, { type: 'number' }] },
  ],
  intstr: [
    'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
    { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string' },
  ],
  rawextension: ['io.k8s.apimachinery.pkg.runtime.RawExtension', { type: 'object' }],
  rawjson: [`${EXTENSIONS}.JSON`, {}],
  schemaorarray: [`${EXTENSIONS}.JSONSchemaPropsOrArray`, {}],
  schemaorbool: [`${EXTENSIONS}.JSONSchemaPropsOrBool`, {}],
  schemaorstrings: [`${EXTENSIONS}.JSONSchemaPropsOrStringArray`, {}],
};

const SCALARS: Readonly<Record<string, JsonObject>> = {
  string: { type: 'string' },
  duration: { type: 'string' },
  bool: { type: 'boolean' },
  int: { type: 'integer', format: 'int32' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  float64: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
  stringlist: { type: 'array', items: { type: 'string', default: '' } },
};

/** Collects the components of one document: each type with everything it refers to. */
export class Components {
  readonly schemas: Record<string, JsonObject> = {};
  readonly #descriptions: Descriptions;
  readonly #refPrefix: string;

  /** @param refPrefix `#/components/schemas/` (v3) or `#/definitions/` (v2). */
  constructor(descriptions: Descriptions, refPrefix: string) {
    this.#descriptions = descriptions;
    this.#refPrefix = refPrefix;
  }

  /** Adds a generated type and gives its published name. */
  add(type: string): string {
    const name = componentName(type);
    if (Object.hasOwn(this.schemas, name)) return name;
    const info = typeInfo(type);
    const texts = this.#descriptions[type] ?? {};
    const schema: JsonObject = { type: 'object' };
    if (texts['']) schema['description'] = texts[''];
    this.schemas[name] = schema;
    const fields = [...(info?.fields.values() ?? [])];
    if (fields.length > 0) {
      schema['properties'] = Object.fromEntries(
        fields.map((field) => [field.name, this.#property(field, texts[field.name])]),
      );
    }
    const required = fields.filter((field) => field.required).map((field) => field.name);
    if (required.length > 0) schema['required'] = required.sort();
    if (info?.atomic) schema['x-kubernetes-map-type'] = 'atomic';
    return name;
  }

  /** A reference to a generated or special type, or the inline schema of a scalar. */
  reference(base: string): JsonObject {
    const scalar = SCALARS[base];
    if (scalar) return { ...scalar };
    if (isTypeName(base)) return { $ref: this.#refPrefix + this.add(base) };
    const special = SPECIAL[base];
    if (!special) return { type: 'object' };
    this.schemas[special[0]] ??= special[1];
    return { $ref: this.#refPrefix + special[0] };
  }

  #property(field: TypeField, description: string | undefined): JsonObject {
    const one = this.reference(field.base);
    const property = this.#shape(field, one);
    if (description) property['description'] = description;
    if (field.default !== undefined) property['default'] = field.default;
    if (field.list) {
      property['x-kubernetes-list-type'] = field.listType;
      if (field.listMapKeys.length > 0) property['x-kubernetes-list-map-keys'] = field.listMapKeys;
    }
    if (field.atomic) property['x-kubernetes-map-type'] = 'atomic';
    if (field.patchStrategy.length > 0)
      property['x-kubernetes-patch-strategy'] = field.patchStrategy.join(',');
    if (field.patchMergeKey) property['x-kubernetes-patch-merge-key'] = field.patchMergeKey;
    return property;
  }

  #shape(field: TypeField, one: JsonObject): JsonObject {
    if (field.list) return { type: 'array', items: wrapped(one) };
    if (field.map) return { type: 'object', additionalProperties: wrapped(one) };
    return wrapped(one);
  }
}

/** A reference that has siblings must stand in allOf. */
function wrapped(one: JsonObject): JsonObject {
  return '$ref' in one ? { allOf: [one] } : one;
}
