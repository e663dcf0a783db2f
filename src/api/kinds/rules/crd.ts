import { type FieldError, forbidden, invalid, required } from '../field-error.ts';
import { dns1035Label, dnsSubdomain } from '../formats.ts';
import {
  arrayAt,
  cloneJson,
  equalJson,
  ensureObject,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { addTexts, oneOf } from './checks.ts';
import { validateStructuralSchema } from './crd-schema.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';

/** Holds a definition until its objects are gone. */
export const CUSTOM_RESOURCE_CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';

function defaults(object: UnknownObject): void {
  const spec = ensureObject(object, 'spec');
  if (!spec) return;
  const names = ensureObject(spec, 'names');
  const kind = stringAt(names, 'kind');
  if (names && kind !== '') {
    setDefault(names, 'singular', kind.toLowerCase());
    setDefault(names, 'listKind', `${kind}List`);
  }
  const conversion = ensureObject(spec, 'conversion');
  if (conversion) setDefault(conversion, 'strategy', 'None');
  const service = objectAt(objectAt(conversion, 'webhook'), 'clientConfig')['service'];
  if (isObject(service)) service['port'] ??= 443;
}

function storageVersions(object: UnknownObject): string[] {
  return objectsAt(object['spec'], 'versions')
    .filter((one) => one['storage'] === true)
    .map((one) => stringAt(one, 'name'));
}

function validate(object: UnknownObject, old?: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  const names = objectAt(spec, 'names');
  const group = stringAt(spec, 'group');
  const wanted = `${stringAt(names, 'plural')}.${group}`;
  if ((object.metadata?.name ?? '') !== wanted) {
    errors.push(
      invalid('metadata.name', object.metadata?.name ?? '', 'must be spec.names.plural+"."+spec.group'),
    );
  }
  if (group === '') errors.push(required('spec.group'));
  else if (dnsSubdomain(group).length > 0) addTexts(errors, 'spec.group', group, dnsSubdomain(group));
  else if (!group.includes('.'))
    errors.push(invalid('spec.group', group, 'should be a domain with at least one dot'));
  oneOf(errors, spec, 'scope', 'spec', ['Cluster', 'Namespaced'], true);
  if (spec['preserveUnknownFields'] === true) {
    const text =
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead';
    errors.push(invalid('spec.preserveUnknownFields', true, text));
  }
  validateVersions(errors, spec, objectsAt(old?.['spec'], 'versions'));
  validateNames(errors, names);
  validateConversion(errors, spec);
  if (storageVersions(object).length === 0)
    errors.push(invalid('status.storedVersions', null, 'must have at least one stored version'));
  return errors;
}

function validateNames(errors: FieldError[], names: JsonObject): void {
  for (const name of ['plural', 'singular', 'kind', 'listKind']) {
    const value = stringAt(names, name);
    const field = `spec.names.${name}`;
    if (value === '') errors.push(required(field));
    else if (name === 'plural' || name === 'singular') addTexts(errors, field, value, dns1035Label(value));
    else {
      const about = 'may have mixed case, but should otherwise match';
      for (const text of dns1035Label(value.toLowerCase()))
        errors.push(invalid(field, value, `${about}: ${text}`));
    }
  }
  for (const list of ['shortNames', 'categories']) {
    for (const [index, value] of arrayAt(names, list).entries()) {
      addTexts(errors, `spec.names.${list}[${index}]`, value, dns1035Label(String(value)));
    }
  }
  if (stringAt(names, 'kind') !== '' && names['kind'] === names['listKind']) {
    errors.push(invalid('spec.names.listKind', names['listKind'], 'kind and listKind may not be the same'));
  }
}

function validateVersions(errors: FieldError[], spec: JsonObject, before: readonly JsonObject[]): void {
  const versions = objectsAt(spec, 'versions');
  for (const [index, version] of versions.entries()) {
    const path = `spec.versions[${index}]`;
    const name = stringAt(version, 'name');
    addTexts(errors, `${path}.name`, name, dns1035Label(name));
    if (!isObject(objectAt(version, 'schema')['openAPIV3Schema']))
      errors.push(required(`${path}.schema.openAPIV3Schema`));
    const warning = version['deprecationWarning'];
    if (warning !== undefined && version['deprecated'] !== true) {
      const text = 'can only be set for deprecated versions';
      errors.push(invalid(`${path}.deprecationWarning`, warning, text));
    }
  }
  const shown = versions.map(internalVersion);
  const names = new Set(versions.map((one) => stringAt(one, 'name')));
  if (names.size < versions.length)
    errors.push(invalid('spec.versions', shown, 'must contain unique version names'));
  if (versions.filter((one) => one['storage'] === true).length !== 1) {
    const value = Array.isArray(spec['versions']) ? shown : null;
    const text = 'must have exactly one version marked as storage version';
    errors.push(invalid('spec.versions', value, text));
  }
  for (const { from, path, version } of partsOf(versions)) {
    if (from === 'schema') {
      const schema = objectAt(version, 'schema')['openAPIV3Schema'];
      const old = before.find((one) => one['name'] === version['name']);
      const changed = !old || !equalJson(objectAt(old, 'schema')['openAPIV3Schema'], schema);
      if (isObject(schema)) validateStructuralSchema(errors, schema, `${path}.openAPIV3Schema`, changed);
    } else if (from === 'subresources') validateSubresources(errors, objectAt(version, from), path);
    else validateColumns(errors, objectsAt(version, from), path);
  }
}

/** Upstream prints a version in its internal form, without what all versions have alike. */
function internalVersion(version: JsonObject): JsonObject {
  return {
    Name: stringAt(version, 'name'),
    Served: version['served'] === true,
    Storage: version['storage'] === true,
    Deprecated: version['deprecated'] === true,
    DeprecationWarning: version['deprecationWarning'] ?? null,
    Schema: null,
    Subresources: null,
    AdditionalPrinterColumns: null,
    SelectableFields: null,
  };
}

const SHARED_PATHS = {
  schema: 'spec.validation',
  subresources: 'spec.subresources',
  additionalPrinterColumns: 'spec.additionalPrinterColumns',
} as const;

/** What is to be judged of versions: parts that all have alike once, under the name upstream gives them. */
function partsOf(
  versions: readonly JsonObject[],
): { from: keyof typeof SHARED_PATHS; path: string; version: JsonObject }[] {
  const names = Object.keys(SHARED_PATHS) as (keyof typeof SHARED_PATHS)[];
  return names.flatMap((from) => {
    const [first] = versions;
    if (first && versions.every((one) => equalJson(one[from], first[from])))
      return [{ from, path: SHARED_PATHS[from], version: first }];
    return versions.map((version, index) => ({ from, path: `spec.versions[${index}].${from}`, version }));
  });
}

function validateSubresources(errors: FieldError[], subresources: JsonObject, path: string): void {
  const scale = subresources['scale'];
  if (!isObject(scale)) return;
  for (const [name, root] of [
    ['specReplicasPath', '.spec.'],
    ['statusReplicasPath', '.status.'],
  ] as const) {
    const value = stringAt(scale, name);
    if (value === '') errors.push(required(`${path}.scale.${name}`));
    else if (!value.startsWith(root)) {
      errors.push(
        invalid(`${path}.scale.${name}`, value, `should be a json path under ${root.slice(0, -1)}`),
      );
    }
  }
}

function validateColumns(errors: FieldError[], columns: readonly JsonObject[], path: string): void {
  for (const [index, column] of columns.entries()) {
    const at = `${path}[${index}]`;
    if (stringAt(column, 'name') === '') errors.push(required(`${at}.name`));
    const types = ['boolean', 'date', 'integer', 'number', 'string'];
    const type = stringAt(column, 'type');
    if (type === '') errors.push(required(`${at}.type`, `must be one of ${types.join(',')}`));
    else if (!types.includes(type))
      errors.push(invalid(`${at}.type`, type, `must be one of ${types.join(',')}`));
    const jsonPath = stringAt(column, 'jsonPath');
    if (jsonPath === '') errors.push(required(`${at}.JSONPath`));
    else if (!jsonPath.startsWith('.')) {
      errors.push(invalid(`${at}.JSONPath`, jsonPath, 'must be a simple json path starting with .'));
    }
  }
}

function validateConversion(errors: FieldError[], spec: JsonObject): void {
  const conversion = objectAt(spec, 'conversion');
  oneOf(errors, conversion, 'strategy', 'spec.conversion', ['None', 'Webhook'], true);
  const webhook = conversion['webhook'];
  if (conversion['strategy'] === 'Webhook') {
    if (
      !isObject(objectAt(webhook, 'clientConfig')) ||
      Object.keys(objectAt(webhook, 'clientConfig')).length === 0
    ) {
      errors.push(
        required('spec.conversion.webhookClientConfig', 'required when strategy is set to Webhook'),
      );
    }
    if (arrayAt(webhook, 'conversionReviewVersions').length === 0) {
      errors.push(required('spec.conversion.conversionReviewVersions'));
    }
  } else if (isObject(webhook)) {
    const text = 'should not be set when strategy is not set to Webhook';
    errors.push(forbidden('spec.conversion.webhook', text));
  }
}

function validateUpdate(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [spec, before] = [objectAt(object, 'spec'), objectAt(old, 'spec')];
  const errors = [
    ...immutable(spec['group'], before['group'], 'spec.group'),
    ...immutable(objectAt(spec, 'names')['plural'], objectAt(before, 'names')['plural'], 'spec.names.plural'),
  ];
  const established = objectsAt(old['status'], 'conditions').some(
    (one) => one['type'] === 'Established' && one['status'] === 'True',
  );
  if (established) {
    errors.push(...immutable(spec['scope'], before['scope'], 'spec.scope'));
    errors.push(
      ...immutable(objectAt(spec, 'names')['kind'], objectAt(before, 'names')['kind'], 'spec.names.kind'),
    );
  }
  const served = new Set(objectsAt(spec, 'versions').map((one) => stringAt(one, 'name')));
  for (const [index, version] of arrayAt(old['status'], 'storedVersions').entries()) {
    if (served.has(String(version))) continue;
    const text = `missing from spec.versions; ${String(version)} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${String(version)} and removes ${String(version)} from status.storedVersions`;
    errors.push(invalid(`status.storedVersions[${index}]`, version, text));
  }
  return errors;
}

export const CRD_RULES: KindRules = {
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  generation: true,
  unconditionalUpdate: false,
  deletionFinalizers: [CUSTOM_RESOURCE_CLEANUP],
  defaults,
  prepareCreate: (object) => {
    object['status'] = {
      conditions: [],
      acceptedNames: { plural: '', kind: '' },
      storedVersions: storageVersions(object),
    };
  },
  // A new storage version joins those that may still hold objects.
  prepareUpdate: (object, old) => {
    const status = cloneJson(objectAt(old, 'status'));
    const stored = arrayAt(status, 'storedVersions');
    const added = storageVersions(object).filter((name) => !stored.includes(name));
    object['status'] = { ...status, storedVersions: [...stored, ...added] };
  },
  validate,
  validateUpdate,
};
