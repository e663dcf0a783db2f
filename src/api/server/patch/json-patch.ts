import { goType } from '../../kinds/decode/json-text.ts';
import { cloneJson, equalJson, isObject, setField } from '../../kinds/json-value.ts';
import { BODY_MAX_BYTES, JSON_PATCH_OPERATIONS_MAX } from '../limits.ts';
import { badRequest, StatusError, tooLarge } from '../status.ts';

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** RFC 6902. Returns a new document; the given one is not changed. */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  const operations = decodeOperations(patch);
  const copied = { sizeBytes: 0 };
  let result = cloneJson(document);
  for (const operation of operations) result = applyOperation(result, operation, copied);
  return result;
}

/** What upstream answers for any operation that cannot be applied; it does not say why. */
function rejected(): StatusError {
  const message = 'the server rejected our request due to an error in our request';
  return new StatusError(422, 'Invalid', message, {});
}

function decodeOperations(patch: unknown): Operation[] {
  if (patch === null) return [];
  if (!Array.isArray(patch)) {
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${goType(patch)} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  if (patch.length > JSON_PATCH_OPERATIONS_MAX) {
    throw tooLarge(
      `The allowed maximum operations in a JSON patch is ${JSON_PATCH_OPERATIONS_MAX}, got ${patch.length}`,
    );
  }
  return patch.map((item: unknown) => {
    if (!isObject(item)) {
      const into = 'Go value of type handlers.jsonPatchOp';
      throw badRequest(`error decoding patch: json: cannot unmarshal ${goType(item)} into ${into}`);
    }
    if (typeof item['op'] !== 'string' || typeof item['path'] !== 'string') throw rejected();
    return item as unknown as Operation;
  });
}

/** What all `copy` operations of one patch made; they could double a document with each. */
interface Copied {
  sizeBytes: number;
}

function copyOf(value: unknown, copied: Copied): unknown {
  copied.sizeBytes += JSON.stringify(value).length;
  if (copied.sizeBytes > BODY_MAX_BYTES) {
    throw tooLarge(`The copies of a JSON patch may not be larger than ${BODY_MAX_BYTES} bytes together`);
  }
  return cloneJson(value);
}

function applyOperation(document: unknown, operation: Operation, copied: Copied): unknown {
  const path = parsePointer(operation.path);
  switch (operation.op) {
    case 'add':
      return add(document, path, cloneJson(operation.value ?? null));
    case 'remove':
      return remove(document, path);
    case 'replace':
      return replace(document, path, cloneJson(operation.value ?? null));
    case 'move': {
      const from = parsePointer(requireFrom(operation));
      const value = tryRead(document, from);
      return value === undefined ? document : add(remove(document, from), path, value);
    }
    case 'copy':
      return add(document, path, copyOf(read(document, parsePointer(requireFrom(operation))), copied));
    case 'test':
      if (!equalJson(tryRead(document, path) ?? null, operation.value ?? null)) throw rejected();
      return document;
    default:
      throw rejected();
  }
}

function requireFrom(operation: Operation): string {
  if (typeof operation.from !== 'string') throw rejected();
  return operation.from;
}

/** RFC 6901. */
function parsePointer(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw rejected();
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function arrayIndex(list: readonly unknown[], token: string, end: boolean): number {
  if (end && token === '-') return list.length;
  const index = /^(0|[1-9]\d{0,8})$/.test(token) ? Number(token) : -1;
  if (index < 0 || index > (end ? list.length : list.length - 1)) {
    throw rejected();
  }
  return index;
}

function child(container: unknown, token: string): unknown {
  if (Array.isArray(container)) return container[arrayIndex(container, token, false)];
  if (isObject(container) && Object.hasOwn(container, token)) return container[token];
  throw rejected();
}

function read(document: unknown, path: readonly string[]): unknown {
  return path.reduce((at, token) => child(at, token), document);
}

/** A member that is missing is undefined; the way to it must be there. */
function tryRead(document: unknown, path: readonly string[]): unknown {
  const parent = read(document, path.slice(0, -1));
  const last = path.at(-1);
  if (last === undefined) return document;
  return isObject(parent) && !Object.hasOwn(parent, last) ? undefined : child(parent, last);
}

function add(document: unknown, path: readonly string[], value: unknown): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(arrayIndex(parent, last, true), 0, value);
  else if (isObject(parent)) setField(parent, last, value);
  else throw rejected();
  return document;
}

/** A member that is missing is added, as upstream's library does. */
function replace(document: unknown, path: readonly string[], value: unknown): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent[arrayIndex(parent, last, false)] = value;
  else if (isObject(parent)) setField(parent, last, value);
  return document;
}

function remove(document: unknown, path: readonly string[]): unknown {
  const last = path.at(-1);
  if (last === undefined) throw rejected();
  const parent = read(document, path.slice(0, -1));
  child(parent, last);
  if (Array.isArray(parent)) parent.splice(arrayIndex(parent, last, false), 1);
  else if (isObject(parent)) delete parent[last];
  return document;
}
