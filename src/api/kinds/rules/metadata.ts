import { type FieldError, forbidden, invalid, required, tooLong } from '../field-error.ts';
import { dnsLabel, finalizerName, labelValue, qualifiedName } from '../formats.ts';
import {
  arrayAt,
  equalJson,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../json-value.ts';
import { MAX_ANNOTATIONS_BYTES } from '../limits.ts';

/** What is wrong with a name; `prefix` = it is a generateName, which may end in a dash. */
export type NameRule = (name: string) => string[];

/** Rules of metadata for a new object. */
export function validateMetadata(
  object: unknown,
  namespaced: boolean,
  nameRule: NameRule,
  finalizerRule: NameRule = finalizerName,
): FieldError[] {
  const metadata = objectAt(object, 'metadata');
  const errors: FieldError[] = [];
  const generateName = stringAt(metadata, 'generateName');
  for (const text of generateName ? nameRule(maskTrailingDash(generateName)) : []) {
    errors.push(invalid('metadata.generateName', generateName, text));
  }
  const name = stringAt(metadata, 'name');
  if (name === '') errors.push(required('metadata.name', 'name or generateName is required'));
  else for (const text of nameRule(name)) errors.push(invalid('metadata.name', name, text));
  const namespace = stringAt(metadata, 'namespace');
  if (!namespaced && namespace !== '')
    errors.push(forbidden('metadata.namespace', 'not allowed on this type'));
  else if (namespaced && namespace === '') errors.push(required('metadata.namespace'));
  else if (namespaced) {
    for (const text of dnsLabel(namespace)) errors.push(invalid('metadata.namespace', namespace, text));
  }
  errors.push(...validateSharedMetadata(metadata));
  for (const finalizer of arrayAt(metadata, 'finalizers')) {
    for (const text of qualifiedName(String(finalizer))) {
      errors.push(invalid('metadata.finalizers', finalizer, text));
    }
  }
  for (const [index, finalizer] of arrayAt(metadata, 'finalizers').entries()) {
    for (const text of finalizerRule(String(finalizer))) {
      errors.push(invalid(`metadata.finalizers[${index}]`, finalizer, text));
    }
  }
  return errors;
}

/** Rules of metadata for a change. */
export function validateMetadataUpdate(object: unknown, old: unknown): FieldError[] {
  const [metadata, before] = [objectAt(object, 'metadata'), objectAt(old, 'metadata')];
  const errors: FieldError[] = [];
  if (before['deletionTimestamp'] !== undefined) {
    const known = new Set(arrayAt(before, 'finalizers'));
    const added = arrayAt(metadata, 'finalizers').filter((one) => !known.has(one));
    if (added.length > 0) {
      const list = added.map((one) => JSON.stringify(one)).join(', ');
      const text = 'no new finalizers can be added if the object is being deleted, found new finalizers';
      errors.push(forbidden('metadata.finalizers', `${text} []string{${list}}`));
    }
  }
  for (const field of [
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ]) {
    errors.push(...immutable(metadata[field], before[field], `metadata.${field}`));
  }
  return [...errors, ...validateSharedMetadata(metadata)];
}

function validateSharedMetadata(metadata: JsonObject): FieldError[] {
  return [
    ...validateLabels(metadata['labels'], 'metadata.labels'),
    ...validateAnnotations(metadata['annotations'], 'metadata.annotations'),
    ...validateOwners(metadata),
  ];
}

export function validateLabels(labels: unknown, field: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(isObject(labels) ? labels : {})) {
    for (const text of qualifiedName(key)) errors.push(invalid(field, key, text));
    for (const text of labelValue(String(value))) errors.push(invalid(field, value, text));
  }
  return errors;
}

export function validateAnnotations(annotations: unknown, field: string): FieldError[] {
  const errors: FieldError[] = [];
  let sizeBytes = 0;
  for (const [key, value] of Object.entries(isObject(annotations) ? annotations : {})) {
    for (const text of qualifiedName(key.toLowerCase())) errors.push(invalid(field, key, text));
    sizeBytes += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  }
  if (sizeBytes > MAX_ANNOTATIONS_BYTES) errors.push(tooLong(field, MAX_ANNOTATIONS_BYTES));
  return errors;
}

function validateOwners(metadata: JsonObject): FieldError[] {
  const field = 'metadata.ownerReferences';
  const errors: FieldError[] = [];
  let controller: string | undefined;
  for (const owner of objectsAt(metadata, 'ownerReferences')) {
    const apiVersion = stringAt(owner, 'apiVersion');
    if (apiVersion === '')
      errors.push(invalid(`${field}.apiVersion`, apiVersion, 'version must not be empty'));
    for (const name of ['kind', 'name', 'uid']) {
      if (stringAt(owner, name) === '') errors.push(invalid(`${field}.${name}`, '', 'must not be empty'));
    }
    if (apiVersion === 'v1' && owner['kind'] === 'Event') {
      errors.push(invalid(field, owner, '/v1, Kind=Event is disallowed from being an owner'));
    }
    if (owner['controller'] !== true) continue;
    const current = `${stringAt(owner, 'kind')}/${stringAt(owner, 'name')}`;
    if (controller === undefined) controller = current;
    else {
      const text = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${current}`;
      errors.push(invalid(field, metadata['ownerReferences'], text));
    }
  }
  return errors;
}

/** `field is immutable` when the values differ; empty values count as absent. */
export function immutable(value: unknown, old: unknown, field: string): FieldError[] {
  if (equalJson(presence(value), presence(old))) return [];
  return [invalid(field, value, 'field is immutable')];
}

function presence(value: unknown): unknown {
  return value === null || value === '' ? undefined : value;
}

/** A prefix of names may end as no name may. */
export function maskTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name;
}
