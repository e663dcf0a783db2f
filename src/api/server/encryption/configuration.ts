import { Buffer } from 'node:buffer';
import { Fault } from '../../../base/fault.ts';
import { StrictErrors } from '../../kinds/decode/strict-errors.ts';
import { parseYaml } from '../../kinds/decode/yaml-text.ts';
import { arrayAt, isObject, type JsonObject, objectsAt, stringAt } from '../../kinds/json-value.ts';
import {
  aesCbcProvider,
  aesGcmProvider,
  identityProvider,
  type NamedKey,
  type Provider,
  secretboxProvider,
} from './providers.ts';

export const ENCRYPTION_CONFIG = 'ENCRYPTION_CONFIG';

/** Which resources are sealed and how; the first provider seals, all may open. */
export interface EncryptionRule {
  /** `secrets`, `widgets.example.com`, `*.apps`, `*.`, `*.*`. */
  readonly resources: readonly string[];
  readonly providers: readonly Provider[];
}

const KEY_BYTES: Readonly<Record<string, readonly number[]>> = {
  aescbc: [16, 24, 32],
  aesgcm: [16, 24, 32],
  secretbox: [32],
};
const MAKE: Readonly<Record<string, (key: NamedKey) => Provider>> = {
  aescbc: aesCbcProvider,
  aesgcm: aesGcmProvider,
  secretbox: secretboxProvider,
};

/** Reads an EncryptionConfiguration (apiserver.config.k8s.io/v1), YAML or JSON. Throws Fault ENCRYPTION_CONFIG with all mistakes. */
export function parseEncryptionConfiguration(text: string): EncryptionRule[] {
  const parsed = parseYaml(text, new StrictErrors());
  if (!parsed.ok)
    throw new Fault(ENCRYPTION_CONFIG, `the encryption configuration is not readable: ${parsed.message}`);
  const document = isObject(parsed.value) ? parsed.value : {};
  const errors: string[] = [];
  if (document['kind'] !== 'EncryptionConfiguration') errors.push('kind must be EncryptionConfiguration');
  if (document['apiVersion'] !== 'apiserver.config.k8s.io/v1') {
    errors.push('apiVersion must be apiserver.config.k8s.io/v1');
  }
  const resources = objectsAt(document, 'resources');
  if (resources.length === 0) errors.push('resources must have at least one entry');
  const rules = resources.map((one, index) => ruleOf(one, `resources[${index}]`, errors));
  if (errors.length > 0) {
    throw new Fault(ENCRYPTION_CONFIG, `the encryption configuration is not valid: ${errors.join('; ')}`);
  }
  return rules;
}

function ruleOf(source: JsonObject, path: string, errors: string[]): EncryptionRule {
  const resources = arrayAt(source, 'resources').filter((one) => typeof one === 'string');
  if (resources.length === 0) errors.push(`${path}.resources must name resources`);
  const providers = objectsAt(source, 'providers').flatMap((one, index) =>
    providersOf(one, `${path}.providers[${index}]`, errors),
  );
  if (providers.length === 0 && errors.length === 0) errors.push(`${path}.providers must name a provider`);
  return { resources, providers };
}

function providersOf(source: JsonObject, path: string, errors: string[]): Provider[] {
  const names = Object.keys(source);
  const [name = ''] = names;
  if (names.length !== 1) {
    errors.push(`${path} must have exactly one of aescbc, aesgcm, secretbox, identity`);
    return [];
  }
  if (name === 'identity') return [identityProvider()];
  if (name === 'kms') {
    errors.push(`${path}: kms is not supported; use aesgcm or secretbox with a key of your own`);
    return [];
  }
  const make = MAKE[name];
  if (!make) {
    errors.push(`${path}: unknown provider ${JSON.stringify(name)}`);
    return [];
  }
  const keys = objectsAt(source[name], 'keys');
  if (keys.length === 0) errors.push(`${path}.${name}.keys must have at least one key`);
  return keys.flatMap((key, index) => {
    const at = `${path}.${name}.keys[${index}]`;
    const secret = Buffer.from(stringAt(key, 'secret'), 'base64');
    const keyName = stringAt(key, 'name');
    if (keyName === '' || keyName.includes(':')) errors.push(`${at}.name must be a name without a colon`);
    if (KEY_BYTES[name]?.includes(secret.length)) return [make({ name: keyName, secret })];
    errors.push(`${at}.secret must be ${KEY_BYTES[name]?.join(', ')} bytes in base64, not ${secret.length}`);
    return [];
  });
}
