import { fillRequired } from './decode/typed.ts';
import { dnsSubdomain } from './formats.ts';
import { valueAt } from './json-value.ts';
import type { UnknownObject } from './meta.ts';
import type { KindInfo } from './registry.ts';
import { RULES } from './rules/all.ts';
import type { KindRules } from './rules/kind-rules.ts';
import { copyField, keepServerFields, nextGeneration, takeStatusOnly } from './server-fields.ts';
import { validateMetadata, validateMetadataUpdate } from './rules/metadata.ts';
import { builtinSchema } from './schema/builtin-schema.ts';
import type { GeneratedResource } from './schema/resource.ts';
import { typeInfo } from './schema/type-table.ts';
import { RESOURCES } from './schema/resources.generated.ts';
import { PRINTERS } from './tables/all.ts';
import { WARNINGS } from './warnings/all.ts';
import { DEFAULT_PRINTER } from './tables/printer.ts';

/** Every kind the server has from the start, in discovery's order. Values are fresh, schemas are shared. */
export function builtinKinds(): KindInfo[] {
  return RESOURCES.map((resource) => kindInfo(resource, rulesOf(resource)));
}

function rulesOf({ group, version, kind }: GeneratedResource): KindRules {
  return RULES[`${group}/${version}/${kind}`] ?? RULES[`${group}/${kind}`] ?? {};
}

function kindInfo(resource: GeneratedResource, rules: KindRules): KindInfo {
  const { group, version, kind, plural, namespaced } = resource;
  const hasStatus = resource.subresources.some((one) => one.name === 'status');
  const nameRule = rules.nameRule ?? dnsSubdomain;
  const generation = rules.generation ?? false;
  const virtual = !resource.verbs.includes('get');
  return {
    group,
    version,
    kind,
    plural,
    namespaced,
    listKind: `${kind}List`,
    singular: kind.toLowerCase(),
    shortNames: rules.shortNames ?? [],
    categories: rules.categories ?? [],
    verbs: resource.verbs,
    subresources: resource.subresources,
    virtual,
    storage: storageOf(resource, rules),
    get schema() {
      return builtinSchema(resource.definition);
    },
    openApiSchema: undefined,
    printer: printerOf(resource, rules),
    selectableFields: selectableFields(rules),
    scale: rules.scale,
    allowUnconditionalUpdate: rules.unconditionalUpdate ?? true,
    allowCreateOnUpdate: rules.createOnUpdate ?? false,
    generation,
    ttlSeconds: rules.ttlSeconds,
    ...(rules.deprecation && { deprecationWarning: rules.deprecation }),
    ...(rules.deletionFinalizers && { deletionFinalizers: rules.deletionFinalizers }),
    defaults: (object) => rules.defaults?.(object),
    prepareCreate: (object) => {
      if (hasStatus && !rules.keepStatus) resetStatus(object, resource.definition);
      if (generation) object.metadata.generation = 1;
      rules.prepareCreate?.(object);
    },
    prepareUpdate: (object, old) => {
      keepServerFields(object, old);
      if (hasStatus && !rules.keepStatus) copyField(object, old, 'status');
      rules.prepareUpdate?.(object, old);
      if (generation) object.metadata.generation = nextGeneration(object, old);
    },
    prepareStatus: (object, old) => takeStatusOnly(object, old),
    validate: (object) => [
      ...(virtual ? [] : validateMetadata(object, namespaced, nameRule)),
      ...(rules.validate?.(object) ?? []),
      ...(rules.validateCreate?.(object) ?? []),
    ],
    validateUpdate: (object, old) => [
      ...validateMetadataUpdate(object, old),
      ...(rules.validate?.(object, old) ?? []),
      ...(rules.validateUpdate?.(object, old) ?? []),
    ],
    validateStatus: (object, old) => [
      ...validateMetadataUpdate(object, old),
      ...(rules.validateStatus?.(object, old) ?? []),
    ],
    warnings: (object, old) => WARNINGS[`${resource.group}/${resource.kind}`]?.(object, old) ?? [],
    graceSeconds: (object, requested) => rules.graceSeconds?.(object, requested) ?? 0,
    convert: rules.stored,
  };
}

/** Rows are made from the stored form where a version has less to show; Events have both forms in one printer. */
function printerOf({ group, kind }: GeneratedResource, { stored }: KindRules): KindInfo['printer'] {
  const printer = PRINTERS[`${group}/${kind}`] ?? DEFAULT_PRINTER;
  if (!stored || stored.kind.group !== group) return printer;
  return { ...printer, row: (object, nowMs) => printer.row(stored.toStorage(object), nowMs) };
}

function storageOf(resource: GeneratedResource, { stored }: KindRules): KindInfo['storage'] {
  const { group, version, kind, plural } = resource;
  if (stored) {
    const { group: owner } = stored.kind;
    return { collection: owner ? `${owner}/${plural}` : plural, kind: stored.kind };
  }
  return { collection: group ? `${group}/${plural}` : plural, kind: { group, version, kind } };
}

function selectableFields(rules: KindRules): ReadonlyMap<string, (object: UnknownObject) => string> {
  const fields = new Map<string, (object: UnknownObject) => string>([
    ['metadata.name', (object) => object.metadata?.name ?? ''],
    ['metadata.namespace', (object) => object.metadata?.namespace ?? ''],
  ]);
  for (const [label, way] of Object.entries(rules.selectable ?? {})) {
    fields.set(label, typeof way === 'function' ? way : (object) => textAt(object, way));
  }
  return fields;
}

function textAt(object: UnknownObject, path: string): string {
  const value = valueAt(object, path);
  return typeof value === 'string'
    ? value
    : value === undefined || value === null
      ? ''
      : JSON.stringify(value);
}

/** An empty status as the types have it: `{}` or with its required zero values. */
function resetStatus(object: UnknownObject, definition: string): void {
  delete object['status'];
  const type = typeInfo(definition);
  if (type) fillRequired(object, type);
}
