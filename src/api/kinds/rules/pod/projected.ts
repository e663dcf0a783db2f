import { type FieldError, forbidden, invalid, required } from '../../field-error.ts';
import { isObject, type JsonObject, numberAt, objectsAt, stringAt } from '../../json-value.ts';
import { FILE_FIELDS, validateFieldRef, validateResourceRef } from './field-refs.ts';
import { validateFileMode, validateFilePath, validateKeyToPath } from './paths.ts';

const MIN_TOKEN_SECONDS = 10 * 60;
const MAX_TOKEN_SECONDS = 2 ** 32;
const PARTS = [
  'secret',
  'configMap',
  'downwardAPI',
  'serviceAccountToken',
  'clusterTrustBundle',
  'podCertificate',
];
const CONFLICT = 'conflicting duplicate paths';

/** A projected volume: several sources in one folder, no file twice. */
export function validateProjected(errors: FieldError[], volume: JsonObject, at: string): void {
  validateFileMode(errors, volume, 'defaultMode', at);
  const paths = new Set<string>();
  for (const [index, source] of objectsAt(volume, 'sources').entries()) {
    const path = `${at}.sources[${index}]`;
    for (const kind of ['secret', 'configMap']) {
      const part = source[kind];
      if (isObject(part)) validateKeyedPart(errors, part, `${path}.${kind}`, at, paths);
    }
    for (const file of objectsAt(source['downwardAPI'], 'items')) {
      validateDownwardFile(errors, file, `${path}.downwardAPI`);
      const name = stringAt(file, 'path');
      if (name !== '' && paths.has(name)) errors.push(invalid(at, name, CONFLICT));
      paths.add(name);
    }
    const token = source['serviceAccountToken'];
    if (isObject(token)) validateToken(errors, token, `${path}.serviceAccountToken`, at);
    if (PARTS.filter((kind) => isObject(source[kind])).length > 1) {
      errors.push(forbidden(path, 'may not specify more than 1 volume type per source'));
    }
  }
}

function validateKeyedPart(
  errors: FieldError[],
  part: JsonObject,
  path: string,
  volumeAt: string,
  paths: Set<string>,
): void {
  const name = stringAt(part, 'name');
  if (name === '') errors.push(required(`${path}.name`));
  for (const [index, item] of objectsAt(part, 'items').entries()) {
    validateKeyToPath(errors, item, `${path}.items[${index}]`);
    const file = stringAt(item, 'path');
    if (file !== '' && paths.has(file)) errors.push(invalid(volumeAt, name, CONFLICT));
    paths.add(file);
  }
}

/** `volumeAt`: upstream tells of a token's path as if it were the volume's. */
function validateToken(errors: FieldError[], token: JsonObject, at: string, volumeAt: string): void {
  const seconds = numberAt(token, 'expirationSeconds') ?? 0;
  const field = `${at}.expirationSeconds`;
  if (seconds < MIN_TOKEN_SECONDS)
    errors.push(invalid(field, seconds, 'may not specify a duration less than 10 minutes'));
  if (seconds > MAX_TOKEN_SECONDS)
    errors.push(invalid(field, seconds, 'may not specify a duration larger than 2^32 seconds'));
  const path = stringAt(token, 'path');
  if (path === '') errors.push(required(`${volumeAt}.path`));
  else validateFilePath(errors, path, `${volumeAt}.path`);
}

/** A file of the downward API; upstream names its list without an index. */
export function validateDownwardFile(errors: FieldError[], file: JsonObject, at: string): void {
  const path = stringAt(file, 'path');
  if (path === '') errors.push(required(`${at}.path`));
  validateFilePath(errors, path, `${at}.path`);
  const [field, resource] = [file['fieldRef'], file['resourceFieldRef']];
  if (isObject(field)) {
    validateFieldRef(errors, field, `${at}.fieldRef`, FILE_FIELDS);
    if (isObject(resource)) {
      const text = 'fieldRef and resourceFieldRef can not be specified simultaneously';
      errors.push(invalid(at, 'resource', text));
    }
  } else if (isObject(resource)) validateResourceRef(errors, resource, `${at}.resourceFieldRef`, true);
  else errors.push(required(at, 'one of fieldRef and resourceFieldRef is required'));
  validateFileMode(errors, file, 'mode', at);
}
