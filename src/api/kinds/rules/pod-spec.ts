import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts';
import { dnsLabel, dnsSubdomain, labelValue, qualifiedName } from '../formats.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../json-value.ts';
import { addTexts, nonNegative, oneOf } from './checks.ts';
import { validateContainers } from './container.ts';

const RESTART_POLICIES = ['Always', 'Never', 'OnFailure'];
const DNS_POLICIES = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'];
const EFFECTS = ['NoExecute', 'NoSchedule', 'PreferNoSchedule'];

/** Rules of a pod spec wherever it stands; `path` is `spec` or `spec.template.spec`. */
export function validatePodSpec(errors: FieldError[], spec: JsonObject, path: string): void {
  const volumes = validateVolumes(errors, spec, path);
  validateContainers(errors, spec, path, volumes);
  oneOf(errors, spec, 'restartPolicy', path, RESTART_POLICIES, true);
  oneOf(errors, spec, 'dnsPolicy', path, DNS_POLICIES, true);
  nonNegative(errors, spec, 'terminationGracePeriodSeconds', path);
  const deadline = numberAt(spec, 'activeDeadlineSeconds');
  if (deadline !== undefined && (deadline < 1 || deadline > 0x7fff_ffff)) {
    errors.push(
      invalid(`${path}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive'),
    );
  }
  validateNames(errors, spec, path);
  for (const [key, value] of Object.entries(objectAt(spec, 'nodeSelector'))) {
    addTexts(errors, `${path}.nodeSelector`, key, qualifiedName(key));
    addTexts(errors, `${path}.nodeSelector`, value, labelValue(String(value)));
  }
  for (const [index, one] of objectsAt(spec, 'tolerations').entries()) {
    validateToleration(errors, one, `${path}.tolerations[${index}]`);
  }
  validateDnsConfig(errors, spec, path);
  for (const [index, alias] of objectsAt(spec, 'hostAliases').entries()) {
    for (const name of arrayAt(alias, 'hostnames')) {
      addTexts(errors, `${path}.hostAliases[${index}].hostnames`, name, dnsSubdomain(String(name)));
    }
  }
  if (spec['hostNetwork'] === true) validateHostPorts(errors, spec, path);
}

function validateNames(errors: FieldError[], spec: JsonObject, path: string): void {
  const checks: readonly (readonly [string, (text: string) => string[]])[] = [
    ['serviceAccountName', dnsSubdomain],
    ['nodeName', dnsSubdomain],
    ['hostname', dnsLabel],
    ['subdomain', dnsLabel],
    ['priorityClassName', dnsSubdomain],
    ['runtimeClassName', dnsSubdomain],
    ['schedulerName', dnsSubdomain],
  ];
  for (const [name, rule] of checks) {
    const value = stringAt(spec, name);
    if (value !== '') addTexts(errors, `${path}.${name}`, value, rule(value));
  }
}

/** Names of the volumes, for the mounts to refer to. */
function validateVolumes(errors: FieldError[], spec: JsonObject, path: string): Set<string> {
  const names = new Set<string>();
  for (const [index, volume] of objectsAt(spec, 'volumes').entries()) {
    const at = `${path}.volumes[${index}]`;
    const name = stringAt(volume, 'name');
    if (name === '') errors.push(required(`${at}.name`));
    else addTexts(errors, `${at}.name`, name, dnsLabel(name));
    if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    names.add(name);
    const sources = Object.keys(volume).filter((key) => key !== 'name' && isObject(volume[key]));
    if (sources.length === 0) errors.push(required(at, 'must specify a volume type'));
    for (const extra of sources.slice(1))
      errors.push(forbidden(`${at}.${extra}`, 'may not specify more than 1 volume type'));
    validateVolumeSource(errors, volume, at);
  }
  return names;
}

function validateVolumeSource(errors: FieldError[], volume: JsonObject, at: string): void {
  const claim = volume['persistentVolumeClaim'];
  if (isObject(claim) && stringAt(claim, 'claimName') === '')
    errors.push(required(`${at}.persistentVolumeClaim.claimName`));
  const host = volume['hostPath'];
  if (isObject(host) && stringAt(host, 'path') === '') errors.push(required(`${at}.hostPath.path`));
  const secret = volume['secret'];
  if (isObject(secret) && stringAt(secret, 'secretName') === '')
    errors.push(required(`${at}.secret.secretName`));
  const config = volume['configMap'];
  if (isObject(config) && stringAt(config, 'name') === '') errors.push(required(`${at}.configMap.name`));
  const modes: readonly (readonly [unknown, string])[] = [
    [secret, 'secret'],
    [config, 'configMap'],
    [volume['projected'], 'projected'],
    [volume['downwardAPI'], 'downwardAPI'],
  ];
  for (const [source, name] of modes) {
    const mode = numberAt(source, 'defaultMode');
    if (mode !== undefined && (mode < 0 || mode > 0o777)) {
      errors.push(
        invalid(
          `${at}.${name}.defaultMode`,
          mode,
          'must be a number between 0 and 0777 (octal), both inclusive',
        ),
      );
    }
    for (const [index, item] of objectsAt(source, 'items').entries())
      validateItem(errors, item, `${at}.${name}.items[${index}]`);
  }
}

function validateItem(errors: FieldError[], item: JsonObject, at: string): void {
  const path = stringAt(item, 'path');
  if (path === '') errors.push(required(`${at}.path`));
  else if (path.startsWith('/')) errors.push(invalid(`${at}.path`, path, 'must be a relative path'));
  else if (path.split('/').includes('..')) errors.push(invalid(`${at}.path`, path, "must not contain '..'"));
}

function validateToleration(errors: FieldError[], toleration: JsonObject, path: string): void {
  const key = stringAt(toleration, 'key');
  const operator = stringAt(toleration, 'operator');
  if (key !== '') addTexts(errors, `${path}.key`, key, qualifiedName(key));
  else if (operator !== 'Exists') {
    errors.push(
      invalid(
        `${path}.operator`,
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ),
    );
  }
  const effect = stringAt(toleration, 'effect');
  if (toleration['tolerationSeconds'] !== undefined && effect !== 'NoExecute') {
    errors.push(
      invalid(`${path}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"),
    );
  }
  if (operator === 'Exists' && stringAt(toleration, 'value') !== '') {
    errors.push(
      invalid(`${path}.operator`, toleration['value'], "value must be empty when `operator` is 'Exists'"),
    );
  }
  oneOf(errors, toleration, 'operator', path, ['Equal', 'Exists']);
  oneOf(errors, toleration, 'effect', path, EFFECTS);
}

function validateDnsConfig(errors: FieldError[], spec: JsonObject, path: string): void {
  const config = objectAt(spec, 'dnsConfig');
  const servers = arrayAt(config, 'nameservers');
  if (spec['dnsPolicy'] === 'None' && !isObject(spec['dnsConfig'])) {
    errors.push(required(`${path}.dnsConfig`, 'must provide `dnsConfig` when `dnsPolicy` is None'));
  } else if (spec['dnsPolicy'] === 'None' && servers.length === 0) {
    errors.push(
      required(
        `${path}.dnsConfig.nameservers`,
        'must provide at least one DNS nameserver when `dnsPolicy` is None',
      ),
    );
  }
  if (servers.length > 3)
    errors.push(invalid(`${path}.dnsConfig.nameservers`, servers, 'must not have more than 3 nameservers'));
}

function validateHostPorts(errors: FieldError[], spec: JsonObject, path: string): void {
  for (const [index, container] of objectsAt(spec, 'containers').entries()) {
    for (const [at, port] of objectsAt(container, 'ports').entries()) {
      const host = numberAt(port, 'hostPort');
      if (host !== undefined && host !== port['containerPort']) {
        const field = `${path}.containers[${index}].ports[${at}].containerPort`;
        errors.push(
          invalid(field, port['containerPort'], 'must match `hostPort` when `hostNetwork` is true'),
        );
      }
    }
  }
}
