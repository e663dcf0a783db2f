import { type FieldError, invalid, required } from '../../field-error.ts';
import { configKey, dnsLabel, dnsSubdomain, envVarName } from '../../formats.ts';
import { isObject, type JsonObject, objectsAt, stringAt } from '../../json-value.ts';
import { addTexts } from '../checks.ts';
import { ENV_FIELDS, validateFieldRef, validateResourceRef } from './field-refs.ts';
import { validateNoBacksteps } from './paths.ts';

const SOURCES = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef'] as const;
const ONE_ONLY = 'may not have more than one field specified at a time';

/** `env` and `envFrom` of a container. */
export function validateEnvironment(errors: FieldError[], container: JsonObject, at: string): void {
  for (const [index, one] of objectsAt(container, 'env').entries()) {
    const path = `${at}.env[${index}]`;
    const name = stringAt(one, 'name');
    if (name === '') errors.push(required(`${path}.name`));
    else addTexts(errors, `${path}.name`, name, envVarName(name));
    if (isObject(one['valueFrom'])) validateValueFrom(errors, one, one['valueFrom'], `${path}.valueFrom`);
  }
  for (const [index, one] of objectsAt(container, 'envFrom').entries()) {
    validateEnvFrom(errors, one, `${at}.envFrom`, index);
  }
}

function validateEnvFrom(errors: FieldError[], one: JsonObject, field: string, index: number): void {
  const path = `${field}[${index}]`;
  const prefix = stringAt(one, 'prefix');
  if (prefix !== '') addTexts(errors, `${path}.prefix`, prefix, envVarName(prefix));
  const sources = ['configMapRef', 'secretRef'].filter((name) => isObject(one[name]));
  for (const source of sources) {
    const name = stringAt(one[source], 'name');
    if (name === '') errors.push(required(`${path}.${source}.name`));
    else addTexts(errors, `${path}.${source}.name`, name, dnsSubdomain(name));
  }
  // Upstream names the list here, not the entry.
  if (sources.length === 0)
    errors.push(invalid(field, '', 'must specify one of: `configMapRef` or `secretRef`'));
  else if (sources.length > 1) errors.push(invalid(field, '', ONE_ONLY));
}

function validateValueFrom(errors: FieldError[], env: JsonObject, source: JsonObject, at: string): void {
  const kinds = SOURCES.filter((name) => isObject(source[name]));
  for (const kind of kinds) validateSource(errors, kind, source[kind] as JsonObject, `${at}.${kind}`);
  if (kinds.length === 0) {
    const list = SOURCES.map((name) => `\`${name}\``);
    const text = `must specify one of: ${list.slice(0, -1).join(', ')} or ${list.at(-1)}`;
    errors.push(invalid(at, '', text));
  } else if (stringAt(env, 'value') !== '') {
    errors.push(invalid(at, '', 'may not be specified when `value` is not empty'));
  } else if (kinds.length > 1) errors.push(invalid(at, '', ONE_ONLY));
}

function validateSource(
  errors: FieldError[],
  kind: (typeof SOURCES)[number],
  ref: JsonObject,
  at: string,
): void {
  if (kind === 'fieldRef') validateFieldRef(errors, ref, at, ENV_FIELDS);
  else if (kind === 'resourceFieldRef') validateResourceRef(errors, ref, at, false);
  else if (kind === 'fileKeyRef') validateFileKey(errors, ref, at);
  else {
    const name = stringAt(ref, 'name');
    addTexts(errors, `${at}.name`, name, dnsSubdomain(name));
    const key = stringAt(ref, 'key');
    if (key === '') errors.push(required(`${at}.key`));
    else addTexts(errors, `${at}.key`, key, configKey(key));
  }
}

function validateFileKey(errors: FieldError[], ref: JsonObject, at: string): void {
  const rules = { key: envVarName, volumeName: dnsLabel, path: undefined };
  for (const [name, rule] of Object.entries(rules)) {
    const value = stringAt(ref, name);
    if (value === '') errors.push(required(`${at}.${name}`));
    else if (rule) addTexts(errors, `${at}.${name}`, value, rule(value));
    else validateNoBacksteps(errors, value, `${at}.${name}`);
  }
}
