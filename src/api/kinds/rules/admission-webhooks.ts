import { duplicate, type FieldError, invalid, notSupported, required } from '../field-error.ts';
import { dnsSubdomain } from '../formats.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { validateMatchConditions } from './admission-expressions.ts';
import { validateRule } from './admission-requests.ts';
import { addTexts, oneOf, validateSelector } from './checks.ts';
import type { KindRules } from './kind-rules.ts';

const REVIEW_VERSIONS = ['v1', 'v1beta1'];
const MAX_TIMEOUT_SECONDS = 30;

function defaultWebhooks(object: UnknownObject, mutating: boolean): void {
  for (const webhook of objectsAt(object, 'webhooks')) {
    setDefault(webhook, 'failurePolicy', 'Fail');
    setDefault(webhook, 'matchPolicy', 'Equivalent');
    webhook['namespaceSelector'] ??= {};
    webhook['objectSelector'] ??= {};
    webhook['timeoutSeconds'] ??= 10;
    if (mutating) setDefault(webhook, 'reinvocationPolicy', 'Never');
    const service = objectAt(webhook, 'clientConfig')['service'];
    if (isObject(service)) service['port'] ??= 443;
    for (const rule of objectsAt(webhook, 'rules')) setDefault(rule, 'scope', '*');
  }
}

function validateWebhooks(object: UnknownObject, mutating: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [index, webhook] of objectsAt(object, 'webhooks').entries()) {
    const path = `webhooks[${index}]`;
    const name = stringAt(webhook, 'name');
    if (name === '') errors.push(required(`${path}.name`));
    else {
      addTexts(errors, `${path}.name`, name, dnsSubdomain(name));
      if (name.split('.').length < 3) {
        errors.push(
          invalid(`${path}.name`, name, 'should be a domain with at least three segments separated by dots'),
        );
      }
    }
    validateWebhook(errors, webhook, path, mutating);
    if (name !== '' && names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
  }
  return errors;
}

function validateWebhook(errors: FieldError[], webhook: JsonObject, path: string, mutating: boolean): void {
  for (const [index, rule] of objectsAt(webhook, 'rules').entries())
    validateRule(errors, rule, `${path}.rules[${index}]`);
  oneOf(errors, webhook, 'failurePolicy', path, ['Fail', 'Ignore']);
  oneOf(errors, webhook, 'matchPolicy', path, ['Equivalent', 'Exact']);
  const effects = webhook['sideEffects'];
  if (effects === undefined)
    errors.push(required(`${path}.sideEffects`, 'must specify one of None, NoneOnDryRun'));
  else if (effects !== 'None' && effects !== 'NoneOnDryRun') {
    errors.push(notSupported(`${path}.sideEffects`, effects, ['None', 'NoneOnDryRun']));
  }
  const timeout = numberAt(webhook, 'timeoutSeconds');
  if (timeout !== undefined && (timeout < 1 || timeout > MAX_TIMEOUT_SECONDS)) {
    const text = `the timeout value must be between 1 and ${MAX_TIMEOUT_SECONDS} seconds`;
    errors.push(invalid(`${path}.timeoutSeconds`, timeout, text));
  }
  for (const name of ['namespaceSelector', 'objectSelector'])
    validateSelector(errors, webhook[name], `${path}.${name}`);
  validateClient(errors, objectAt(webhook, 'clientConfig'), `${path}.clientConfig`);
  validateMatchConditions(errors, webhook, path, false);
  if (mutating) oneOf(errors, webhook, 'reinvocationPolicy', path, ['IfNeeded', 'Never']);
  validateReviewVersions(errors, arrayAt(webhook, 'admissionReviewVersions'), path);
}

function validateReviewVersions(errors: FieldError[], versions: readonly unknown[], path: string): void {
  const field = `${path}.admissionReviewVersions`;
  if (versions.length === 0) {
    errors.push(required(field, `must specify one of ${REVIEW_VERSIONS.join(', ')}`));
    return;
  }
  for (const [index, version] of versions.entries()) {
    if (versions.indexOf(version) < index)
      errors.push(invalid(`${field}[${index}]`, version, 'duplicate version'));
  }
  if (!versions.some((one) => REVIEW_VERSIONS.includes(String(one)))) {
    const text = `must include at least one of ${REVIEW_VERSIONS.join(', ')}`;
    errors.push(invalid(field, versions, text));
  }
}

function validateClient(errors: FieldError[], client: JsonObject, path: string): void {
  const url = client['url'];
  const service = client['service'];
  if ((url === undefined) === (service === undefined)) {
    errors.push(required(path, 'exactly one of url or service is required'));
    return;
  }
  if (typeof url === 'string') validateUrl(errors, url, `${path}.url`);
  if (!isObject(service)) return;
  for (const name of ['name', 'namespace']) {
    if (stringAt(service, name) === '') errors.push(required(`${path}.service.${name}`));
  }
  const port = numberAt(service, 'port') ?? 443;
  if (port < 1 || port > 65535)
    errors.push(
      invalid(`${path}.service.port`, port, 'port is not valid: must be between 1 and 65535, inclusive'),
    );
  const location = service['path'];
  if (typeof location === 'string' && !location.startsWith('/'))
    errors.push(invalid(`${path}.service.path`, location, "must start with a '/'"));
}

function validateUrl(errors: FieldError[], text: string, field: string): void {
  const form = '; desired format: https://host[/path]';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) {
    errors.push(required(field, `url must be a valid URL${form}`));
    return;
  }
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'https') {
    errors.push(invalid(field, scheme, `'https' is the only allowed URL scheme${form}`));
  }
  if (url.host === '') errors.push(invalid(field, url.host, `host must be specified${form}`));
  if (url.username !== '')
    errors.push(invalid(field, url.username, 'user information is not permitted in the URL'));
  const fragment = url.hash.slice(1);
  if (fragment !== '') errors.push(invalid(field, fragment, 'fragments are not permitted in the URL'));
  const query = url.search.slice(1);
  if (query !== '') errors.push(invalid(field, query, 'query parameters are not permitted in the URL'));
}

function webhookRules(mutating: boolean): KindRules {
  return {
    generation: true,
    defaults: (object) => defaultWebhooks(object, mutating),
    validate: (object) => validateWebhooks(object, mutating),
  };
}

export const MUTATING_WEBHOOK_RULES = webhookRules(true);
export const VALIDATING_WEBHOOK_RULES = webhookRules(false);
