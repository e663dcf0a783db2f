import { cloneJson, equalJson, isObject, type JsonObject, objectAt } from './json-value.ts';
import type { UnknownObject } from './meta.ts';

export function copyField(object: JsonObject, old: JsonObject, field: string): void {
  if (old[field] === undefined) delete object[field];
  else object[field] = cloneJson(old[field]);
}

const SERVER_FIELDS = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
];

/** What only the server writes comes from the stored object; a differing uid stays, for validation to refuse. */
export function keepServerFields(object: UnknownObject, old: UnknownObject): void {
  const metadata = object.metadata as unknown as JsonObject;
  const before = old.metadata as unknown as JsonObject;
  for (const field of SERVER_FIELDS) {
    if (field === 'uid' && metadata['uid']) continue;
    copyField(metadata, before, field);
  }
}

export function nextGeneration(object: UnknownObject, old: UnknownObject): number {
  const now = old.metadata.generation ?? 0;
  const same = equalJson(desired(object), desired(old));
  return same ? now : now + 1;
}

/** Everything a user asks for: all fields but metadata, status and the type. */
function desired(object: UnknownObject): JsonObject {
  const { apiVersion: _, kind: __, metadata: ___, status: ____, ...rest } = object;
  return rest;
}

/** A status write: the stored object with the new status; labels and annotations may come along, nothing else. */
export function takeStatusOnly(object: UnknownObject, old: UnknownObject): void {
  const sent = objectAt(object, 'metadata');
  const metadata = cloneJson(old.metadata) as unknown as JsonObject;
  for (const field of ['resourceVersion', 'managedFields', 'uid']) {
    if (sent[field] !== undefined) metadata[field] = sent[field];
  }
  for (const key of Object.keys(object)) if (key !== 'status' && key !== 'metadata') delete object[key];
  for (const [key, value] of Object.entries(old)) {
    if (key !== 'status' && key !== 'metadata') object[key] = cloneJson(value);
  }
  object.metadata = metadata as unknown as UnknownObject['metadata'];
  if (!isObject(object['status'])) delete object['status'];
}
