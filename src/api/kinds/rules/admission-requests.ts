import { type FieldError, invalid, notSupported, required } from '../field-error.ts';
import { arrayAt, type JsonObject } from '../json-value.ts';
import { oneOf } from './checks.ts';

const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];

/** Which requests a webhook or policy is for. */
export function validateRule(errors: FieldError[], rule: JsonObject, path: string): void {
  for (const name of ['operations', 'apiGroups', 'apiVersions', 'resources']) {
    const values = arrayAt(rule, name);
    const field = `${path}.${name}`;
    if (values.length === 0) errors.push(required(field));
    const all = name === 'resources' ? '*/*' : '*';
    if (values.includes(all) && values.length > 1) {
      const text = `if '${all}' is present, must not specify other ${words(name)}`;
      errors.push(invalid(field, values, text));
    }
    for (const [index, value] of values.entries()) {
      if (name === 'operations') {
        if (!OPERATIONS.includes(String(value)))
          errors.push(notSupported(`${field}[${index}]`, value, OPERATIONS));
      } else if (value === '' && name !== 'apiGroups') errors.push(required(`${field}[${index}]`));
    }
  }
  oneOf(errors, rule, 'scope', path, ['*', 'Cluster', 'Namespaced']);
}

function words(name: string): string {
  return { apiGroups: 'API groups', apiVersions: 'API versions' }[name] ?? name;
}
