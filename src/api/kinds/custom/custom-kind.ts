import type { FieldError } from '../field-error.ts';
import { dnsSubdomain } from '../formats.ts';
import {
  arrayAt,
  cloneJson,
  equalJson,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
  textOf,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { joinApiVersion, type KindInfo, type ScalePaths, type Subresource, type Verb } from '../registry.ts';
import { keepServerFields, nextGeneration, takeStatusOnly } from '../server-fields.ts';
import { validateMetadata, validateMetadataUpdate } from '../rules/metadata.ts';
import { structuralSchema } from '../schema/structural-schema.ts';
import { validateByRules } from './cel-rules.ts';
import { customPrinter } from './custom-printer.ts';
import { applySchemaDefaults } from './defaults.ts';
import { parseJsonPath } from './json-path.ts';
import { validateBySchema } from './schema-rules.ts';

const VERBS: readonly Verb[] = [
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'create',
  'update',
  'watch',
];

/** Names a CustomResourceDefinition asks for, with what the server defaulted. */
export interface CustomNames {
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
}

export function customNames(definition: UnknownObject): CustomNames {
  const names = objectAt(definition['spec'], 'names');
  const kind = stringAt(names, 'kind');
  const texts = (field: string): string[] => arrayAt(names, field).filter((one) => typeof one === 'string');
  return {
    plural: stringAt(names, 'plural'),
    singular: stringAt(names, 'singular') || kind.toLowerCase(),
    kind,
    listKind: stringAt(names, 'listKind') || `${kind}List`,
    shortNames: texts('shortNames'),
    categories: texts('categories'),
  };
}

/** Where the objects of a definition lie in the store. */
export function customCollection(definition: UnknownObject): string {
  return `${stringAt(definition['spec'], 'group')}/${customNames(definition).plural}`;
}

/** The kinds an accepted CustomResourceDefinition serves: one a version with `served: true`. */
export function customKinds(definition: UnknownObject): KindInfo[] {
  const spec = objectAt(definition, 'spec');
  const versions = objectsAt(spec, 'versions');
  const stored = stringAt(
    versions.find((one) => one['storage'] === true),
    'name',
  );
  return versions
    .filter((one) => one['served'] === true)
    .map((version) => customKind(definition, version, stored));
}

function customKind(definition: UnknownObject, version: JsonObject, storedVersion: string): KindInfo {
  const spec = objectAt(definition, 'spec');
  const names = customNames(definition);
  const group = stringAt(spec, 'group');
  const gvk = { group, version: stringAt(version, 'name'), kind: names.kind };
  const openApiSchema = objectAt(objectAt(version, 'schema'), 'openAPIV3Schema');
  const schema = structuralSchema(openApiSchema);
  const subresources = objectAt(version, 'subresources');
  const hasStatus = subresources['status'] !== undefined;
  const namespaced = spec['scope'] === 'Namespaced';
  const check = (object: UnknownObject, old: UnknownObject | undefined): FieldError[] => {
    const errors: FieldError[] = [];
    const place = { value: object, old, path: '' };
    validateBySchema(place, openApiSchema, errors);
    if (errors.length === 0) validateByRules(place, openApiSchema, schema, errors);
    return errors;
  };
  return {
    ...gvk,
    ...names,
    namespaced,
    verbs: VERBS,
    subresources: subresourcesOf(gvk, subresources),
    virtual: false,
    storage: { collection: customCollection(definition), kind: { ...gvk, version: storedVersion } },
    schema,
    openApiSchema,
    printer: customPrinter(version),
    selectableFields: selectableFields(version),
    scale: scalePaths(subresources),
    allowUnconditionalUpdate: false,
    allowCreateOnUpdate: false,
    generation: true,
    ttlSeconds: undefined,
    ...deprecation(gvk, version),
    ...webhook(spec),
    defaults: (object) => applySchemaDefaults(object, openApiSchema),
    prepareCreate: (object) => {
      if (hasStatus) delete object['status'];
      object.metadata.generation = 1;
    },
    prepareUpdate: (object, old) => {
      keepServerFields(object, old);
      if (hasStatus) keepStatus(object, old);
      object.metadata.generation = hasStatus
        ? nextGeneration(object, old)
        : (old.metadata.generation ?? 0) + (equalBodies(object, old) ? 0 : 1);
    },
    prepareStatus: takeStatusOnly,
    validate: (object) => [
      ...validateMetadata(object, namespaced, dnsSubdomain, () => []),
      ...check(object, undefined),
    ],
    validateUpdate: (object, old) => [...validateMetadataUpdate(object, old), ...check(object, old)],
    validateStatus: (object, old) => [...validateMetadataUpdate(object, old), ...check(object, old)],
    warnings: () => [],
    graceSeconds: () => 0,
    convert: conversion(definition, gvk, storedVersion, openApiSchema),
  };
}

function webhook(spec: JsonObject): { conversionWebhook?: JsonObject } {
  const conversion = objectAt(spec, 'conversion');
  if (conversion['strategy'] !== 'Webhook') return {};
  return { conversionWebhook: objectAt(conversion, 'webhook') };
}

function keepStatus(object: UnknownObject, old: UnknownObject): void {
  if (old['status'] === undefined) delete object['status'];
  else object['status'] = cloneJson(old['status']);
}

function equalBodies(object: UnknownObject, old: UnknownObject): boolean {
  return equalJson({ ...object, metadata: undefined }, { ...old, metadata: undefined });
}

function deprecation(
  { group, version, kind }: { group: string; version: string; kind: string },
  source: JsonObject,
): { deprecationWarning?: string } {
  if (source['deprecated'] !== true) return {};
  const text = stringAt(source, 'deprecationWarning');
  return { deprecationWarning: text || `${group}/${version} ${kind} is deprecated` };
}

function subresourcesOf(
  gvk: { group: string; version: string; kind: string },
  source: JsonObject,
): Subresource[] {
  const verbs: readonly Verb[] = ['get', 'patch', 'update'];
  const made: Subresource[] = [];
  if (isObject(source['scale'])) {
    made.push({ name: 'scale', verbs, kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' } });
  }
  if (source['status'] !== undefined) made.push({ name: 'status', verbs, kind: gvk });
  return made;
}

function scalePaths(subresources: JsonObject): ScalePaths | undefined {
  const scale = subresources['scale'];
  if (!isObject(scale)) return undefined;
  const path = (field: string): string => stringAt(scale, field).replace(/^\./, '');
  return {
    specReplicas: path('specReplicasPath'),
    statusReplicas: path('statusReplicasPath'),
    labelSelector: path('labelSelectorPath') || undefined,
  };
}

function selectableFields(version: JsonObject): ReadonlyMap<string, (object: UnknownObject) => string> {
  const fields = new Map<string, (object: UnknownObject) => string>([
    ['metadata.name', (object) => object.metadata?.name ?? ''],
    ['metadata.namespace', (object) => object.metadata?.namespace ?? ''],
  ]);
  for (const one of objectsAt(version, 'selectableFields')) {
    const text = stringAt(one, 'jsonPath');
    const path = parseJsonPath(text);
    if (path) fields.set(text.replace(/^\./, ''), (object) => textOf(path(object)[0]));
  }
  return fields;
}

/**
 * What stored objects must go through to look as this version says: none while all were written by the one version
 * and schema there has been; else the version is put right and defaults of the present schema are filled.
 */
function conversion(
  definition: UnknownObject,
  gvk: { group: string; version: string },
  storedVersion: string,
  openApiSchema: JsonObject,
): KindInfo['convert'] {
  const versions = arrayAt(definition['status'], 'storedVersions');
  const unchanged = definition.metadata.generation === 1 && versions.length <= 1;
  if (unchanged && gvk.version === storedVersion) return undefined;
  return {
    toStorage: (object) => ({ ...object, apiVersion: joinApiVersion(gvk.group, storedVersion) }),
    fromStorage: (object) => {
      const made = { ...object, apiVersion: joinApiVersion(gvk.group, gvk.version) };
      applySchemaDefaults(made, openApiSchema);
      return made;
    },
  };
}
