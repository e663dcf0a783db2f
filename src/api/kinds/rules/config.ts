import { type FieldError, forbidden, invalid, required, tooLong } from '../field-error.ts';
import { configKey, dnsSubdomain } from '../formats.ts';
import {
  equalJson,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  setDefault,
  setField,
  stringAt,
} from '../json-value.ts';
import { MAX_DATA_BYTES } from '../limits.ts';
import type { UnknownObject } from '../meta.ts';
import { addTexts } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';

const IMMUTABLE_TEXT = 'field is immutable when `immutable` is set';

function dataBytes(data: JsonObject, base64: boolean): number {
  let sizeBytes = 0;
  for (const value of Object.values(data)) {
    const text = String(value);
    sizeBytes += base64 ? Math.floor((text.length * 3) / 4) : Buffer.byteLength(text);
  }
  return sizeBytes;
}

/** Once `immutable: true` is stored, it and the data stay. */
function keepImmutable(object: UnknownObject, old: UnknownObject, fields: readonly string[]): FieldError[] {
  if (old['immutable'] !== true) return [];
  const errors: FieldError[] = [];
  if (object['immutable'] !== true) errors.push(forbidden('immutable', IMMUTABLE_TEXT));
  for (const field of fields) {
    if (!equalJson(objectAt(object, field), objectAt(old, field)))
      errors.push(forbidden(field, IMMUTABLE_TEXT));
  }
  return errors;
}

function validateConfigMap(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const [data, binary] = [objectAt(object, 'data'), objectAt(object, 'binaryData')];
  for (const key of Object.keys(data)) {
    addTexts(errors, `data[${key}]`, key, configKey(key));
    if (Object.hasOwn(binary, key)) {
      errors.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
  }
  for (const key of Object.keys(binary)) addTexts(errors, `binaryData[${key}]`, key, configKey(key));
  if (dataBytes(data, false) + dataBytes(binary, true) > MAX_DATA_BYTES)
    errors.push(tooLong('', MAX_DATA_BYTES));
  return errors;
}

export const CONFIG_MAP_RULES: KindRules = {
  shortNames: ['cm'],
  validate: validateConfigMap,
  validateUpdate: (object, old) => keepImmutable(object, old, ['data', 'binaryData']),
};

/** stringData is write-only: it is folded into data. */
function foldStringData(object: UnknownObject): void {
  const plain = object['stringData'];
  if (!isObject(plain)) return;
  const data = isObject(object['data']) ? object['data'] : {};
  for (const [key, value] of Object.entries(plain)) {
    setField(data, key, Buffer.from(String(value), 'utf8').toString('base64'));
  }
  if (Object.keys(data).length > 0) object['data'] = data;
  delete object['stringData'];
}

/** Keys a typed Secret must have. */
const REQUIRED_KEYS: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
};

const ACCOUNT_TOKEN = 'kubernetes.io/service-account-token';
const ACCOUNT_NAME = 'kubernetes.io/service-account.name';

function validateSecret(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const data = objectAt(object, 'data');
  for (const key of Object.keys(data)) addTexts(errors, `data[${key}]`, key, configKey(key));
  if (dataBytes(data, true) > MAX_DATA_BYTES) errors.push(tooLong('data', MAX_DATA_BYTES));
  const type = stringAt(object, 'type');
  if (type === ACCOUNT_TOKEN && stringAt(objectAt(object.metadata, 'annotations'), ACCOUNT_NAME) === '') {
    errors.push(required(`metadata.annotations[${ACCOUNT_NAME}]`));
  }
  for (const key of REQUIRED_KEYS[type] ?? []) {
    if (!Object.hasOwn(data, key)) errors.push(required(`data[${key}]`));
    else if (key.startsWith('.docker') && !isJsonText(data[key])) {
      errors.push(invalid(`data[${key}]`, '<secret contents redacted>', 'invalid character in JSON text'));
    }
  }
  const basic = ['username', 'password'];
  if (type === 'kubernetes.io/basic-auth' && !basic.some((key) => Object.hasOwn(data, key))) {
    for (const key of basic) errors.push(required(`data[${key}]`));
  }
  return errors;
}

function isJsonText(base64: unknown): boolean {
  try {
    return isObject(JSON.parse(Buffer.from(String(base64), 'base64').toString('utf8')));
  } catch {
    return false;
  }
}

export const SECRET_RULES: KindRules = {
  selectable: { type: 'type' },
  defaults: (object) => {
    setDefault(object, 'type', 'Opaque');
    foldStringData(object);
  },
  validate: validateSecret,
  validateUpdate: (object, old) => [
    ...immutable(object['type'], old['type'], 'type'),
    ...keepImmutable(object, old, ['data']),
  ],
  // A write that leaves the type out keeps it.
  prepareUpdate: (object, old) => {
    if (object['type'] === undefined || object['type'] === '') object['type'] = old['type'];
  },
};

export const SERVICE_ACCOUNT_RULES: KindRules = {
  shortNames: ['sa'],
  nameRule: dnsSubdomain,
  validate: (object) => {
    const errors: FieldError[] = [];
    for (const [index, one] of objectsAt(object, 'imagePullSecrets').entries()) {
      const name = stringAt(one, 'name');
      if (name !== '') addTexts(errors, `imagePullSecrets[${index}].name`, name, dnsSubdomain(name));
    }
    return errors;
  },
};
