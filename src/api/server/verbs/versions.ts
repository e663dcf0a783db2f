import { cloneJson } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import { joinApiVersion } from '../../kinds/registry.ts';
import type { StoredObject } from '../cache/stored-object.ts';

/** A cached object in the version the kind serves; frozen or private, never to be changed. */
export function served(kind: KindInfo, entry: StoredObject): UnknownObject {
  return fromStored(kind, entry.object);
}

export function fromStored(kind: KindInfo, object: UnknownObject): UnknownObject {
  if (kind.convert) return kind.convert.fromStorage(cloneJson(object));
  if (isStorageVersion(kind)) return object;
  return { ...object, kind: kind.kind, apiVersion: joinApiVersion(kind.group, kind.version) };
}

/** The object as it is stored. May share parts with the argument. */
export function toStored(kind: KindInfo, object: UnknownObject): UnknownObject {
  if (kind.convert) return kind.convert.toStorage(cloneJson(object));
  if (isStorageVersion(kind)) return object;
  const target = kind.storage.kind;
  return { ...object, kind: target.kind, apiVersion: joinApiVersion(target.group, target.version) };
}

/** True when stored bytes are what this version serves. */
export function isStorageVersion(kind: KindInfo): boolean {
  if (kind.convert) return false;
  const { group, version, kind: name } = kind.storage.kind;
  return group === kind.group && version === kind.version && name === kind.kind;
}
