import { Buffer } from 'node:buffer';
import { PARSED_OBJECTS_MAX } from '../limits.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { deepFreeze } from '../json.ts';

/** Labels and selectable fields of an object: what selectors look at. */
export interface Attributes {
  readonly labels: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string>>;
}

export type FieldsOf = (object: UnknownObject) => Readonly<Record<string, string>>;

const METADATA_OPEN = Buffer.from('"metadata":{');
const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});

/** Remembers which objects are parsed and forgets the oldest beyond a bound; the bytes stay. */
export class ParsedObjects {
  readonly #slots: (StoredObject | undefined)[];
  #next = 0;

  constructor(capacity = PARSED_OBJECTS_MAX) {
    this.#slots = Array.from({ length: capacity }, () => undefined);
  }

  keep(entry: StoredObject): void {
    this.#slots[this.#next]?.forget();
    this.#slots[this.#next] = entry;
    this.#next = (this.#next + 1) % this.#slots.length;
  }
}

/**
 * One object at one revision. The bytes are the stored ones, shared with the store, without a resourceVersion:
 * it is spliced in behind `"metadata":{` on the way out, so nothing is kept twice and nothing is parsed to be sent.
 */
export class StoredObject {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly bytes: Buffer;
  readonly revision: number;
  readonly #parsedObjects: ParsedObjects;
  #object: UnknownObject | undefined;
  #attributes: Attributes | undefined;
  #attributesOf: FieldsOf | undefined;

  constructor(
    parsedObjects: ParsedObjects,
    from: { key: string; namespace: string; name: string; bytes: Buffer; revision: number },
    object?: UnknownObject,
  ) {
    this.key = from.key;
    this.namespace = from.namespace;
    this.name = from.name;
    this.bytes = from.bytes;
    this.revision = from.revision;
    this.#parsedObjects = parsedObjects;
    if (object) this.#remember(object);
  }

  /** Frozen, with metadata.resourceVersion set. */
  get object(): UnknownObject {
    if (this.#object) return this.#object;
    const object = JSON.parse(this.bytes.toString('utf8')) as UnknownObject;
    if (this.revision > 0) object.metadata = { ...object.metadata, resourceVersion: String(this.revision) };
    return this.#remember(deepFreeze(object));
  }

  attributes(fieldsOf: FieldsOf): Attributes {
    if (this.#attributes && this.#attributesOf === fieldsOf) return this.#attributes;
    const object = this.object;
    this.#attributesOf = fieldsOf;
    this.#attributes = { labels: object.metadata.labels ?? NO_LABELS, fields: fieldsOf(object) };
    return this.#attributes;
  }

  forget(): void {
    this.#object = undefined;
  }

  /** The same object as of a later revision: what a delete event carries. */
  at(revision: number): StoredObject {
    return new StoredObject(this.#parsedObjects, {
      key: this.key,
      namespace: this.namespace,
      name: this.name,
      bytes: this.bytes,
      revision,
    });
  }

  sizeBytes(): number {
    return this.bytes.length + 22 + digits(this.revision);
  }

  /** Writes the JSON with its resourceVersion at offset and returns the end. Revision 0 = never stored (dry run). */
  writeTo(target: Buffer, offset: number): number {
    if (this.revision === 0) return offset + this.bytes.copy(target, offset);
    const split = spliceOffset(this.bytes);
    let at = offset + this.bytes.copy(target, offset, 0, split);
    at += target.write(`"resourceVersion":"${this.revision}",`, at, 'latin1');
    return at + this.bytes.copy(target, at, split);
  }

  toBuffer(): Buffer {
    const target = Buffer.allocUnsafe(this.sizeBytes());
    return target.subarray(0, this.writeTo(target, 0));
  }

  #remember(object: UnknownObject): UnknownObject {
    this.#object = object;
    this.#parsedObjects.keep(this);
    return object;
  }
}

function spliceOffset(bytes: Buffer): number {
  const found = bytes.indexOf(METADATA_OPEN);
  return found + METADATA_OPEN.length;
}

function digits(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) count++;
  return count;
}

/** The stored form: kind, apiVersion and metadata first, no resourceVersion. */
export function encodeStored(object: UnknownObject): Buffer {
  const { kind, apiVersion, metadata, ...rest } = object;
  const { resourceVersion: _, ...meta } = metadata;
  const text = JSON.stringify({ kind, apiVersion, metadata: meta, ...rest });
  // Kept for as long as the object lives: memory of its own, not a part of a pool's block that it would hold whole.
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text, 'utf8');
  return bytes;
}
