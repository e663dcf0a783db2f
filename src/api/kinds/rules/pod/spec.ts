import { type FieldError, forbidden, invalid, required, tooLong } from '../../field-error.ts';
import {
  dnsLabel,
  dnsSubdomain,
  dnsSubdomainWithUnderscore,
  ipAddress,
  labelValue,
  qualifiedName,
} from '../../formats.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../../json-value.ts';
import { parseQuantity } from '../../quantity.ts';
import { addTexts, oneOf } from '../checks.ts';
import { validateAffinity } from './affinity.ts';
import { validateContainers } from './container.ts';
import { validatePodResources } from './resources.ts';
import { validateGates, validateSpread, validateTolerations } from './scheduling.ts';
import { validatePodSecurity, validateSystem } from './security.ts';
import { validateVolumes } from './volumes.ts';

const RESTART_POLICIES = ['Always', 'OnFailure', 'Never'];
const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const MAX_INT32 = 2_147_483_647;
const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCHES_LENGTH = 2048;
const MAX_HOSTNAME = 64;

/** Rules of a pod spec wherever it stands; `path` is `spec` or `spec.template.spec`. */
export function validatePodSpec(errors: FieldError[], spec: JsonObject, path: string): void {
  const volumes = validateVolumes(errors, spec, path);
  validateContainers(errors, spec, path, volumes);
  if (isObject(spec['resources'])) validatePodResources(errors, spec['resources'], `${path}.resources`);
  if (spec['hostNetwork'] === true) validateHostPorts(errors, spec, path);
  oneOf(errors, spec, 'restartPolicy', path, RESTART_POLICIES, true);
  oneOf(errors, spec, 'dnsPolicy', path, DNS_POLICIES, true);
  for (const [key, value] of Object.entries(objectAt(spec, 'nodeSelector'))) {
    addTexts(errors, `${path}.nodeSelector`, key, qualifiedName(key));
    addTexts(errors, `${path}.nodeSelector`, value, labelValue(String(value)));
  }
  validatePodSecurity(errors, spec, path);
  validateAffinity(errors, objectAt(spec, 'affinity'), `${path}.affinity`);
  validateDnsConfig(errors, spec, path);
  validateGates(errors, spec, path);
  validateSpread(errors, spec, path);
  validateHostUsers(errors, spec, path);
  validateHostnameOverride(errors, spec, path);
  validateName(errors, spec, 'serviceAccountName', path, dnsSubdomain);
  validateName(errors, spec, 'nodeName', path, dnsSubdomain);
  const deadline = numberAt(spec, 'activeDeadlineSeconds');
  if (deadline !== undefined && (deadline < 1 || deadline > MAX_INT32)) {
    const text = `must be between 1 and ${MAX_INT32}, inclusive`;
    errors.push(invalid(`${path}.activeDeadlineSeconds`, deadline, text));
  }
  validateName(errors, spec, 'hostname', path, dnsLabel);
  validateName(errors, spec, 'subdomain', path, dnsLabel);
  validateTolerations(errors, spec, path);
  validateHostAliases(errors, spec, path);
  validateName(errors, spec, 'priorityClassName', path, dnsSubdomain);
  validateName(errors, spec, 'runtimeClassName', path, dnsSubdomain);
  oneOf(errors, spec, 'preemptionPolicy', path, ['PreemptLowerPriority', 'Never']);
  validateOverhead(errors, spec, path);
  validateSystem(errors, spec, path);
}

function validateName(
  errors: FieldError[],
  spec: JsonObject,
  name: string,
  path: string,
  rule: (text: string) => string[],
): void {
  const value = stringAt(spec, name);
  if (value !== '') addTexts(errors, `${path}.${name}`, value, rule(value));
}

function validateHostAliases(errors: FieldError[], spec: JsonObject, path: string): void {
  for (const [index, alias] of objectsAt(spec, 'hostAliases').entries()) {
    const at = `${path}.hostAliases[${index}]`;
    const ip = stringAt(alias, 'ip');
    addTexts(errors, `${at}.ip`, ip, ipAddress(ip));
    for (const [position, name] of arrayAt(alias, 'hostnames').entries())
      addTexts(errors, `${at}.hostnames[${position}]`, name, dnsSubdomain(String(name)));
  }
}

function validateHostUsers(errors: FieldError[], spec: JsonObject, path: string): void {
  if (spec['hostUsers'] !== false) return;
  const fields = { hostNetwork: 'hostNetwork', hostPID: 'HostPID', hostIPC: 'HostIPC' };
  for (const [name, shown] of Object.entries(fields)) {
    if (spec[name] === true) errors.push(forbidden(`${path}.${shown}`, 'when `hostUsers` is false'));
  }
}

function validateHostnameOverride(errors: FieldError[], spec: JsonObject, path: string): void {
  const name = spec['hostnameOverride'];
  if (typeof name !== 'string') return;
  const field = `${path}.hostnameOverride`;
  if (spec['setHostnameAsFQDN'] === true)
    errors.push(forbidden(field, 'may not be specified when setHostnameAsFQDN is true'));
  if (spec['hostNetwork'] === true)
    errors.push(forbidden(field, 'may not be specified when hostNetwork is true'));
  if (name.length > MAX_HOSTNAME) errors.push(tooLong(field, MAX_HOSTNAME));
  addTexts(errors, field, name, dnsSubdomain(name));
}

function validateOverhead(errors: FieldError[], spec: JsonObject, path: string): void {
  for (const [name, value] of Object.entries(objectAt(spec, 'overhead'))) {
    const quantity = parseQuantity(value);
    if (quantity && quantity.nano < 0n)
      errors.push(invalid(`${path}.overhead.limits[${name}]`, value, 'must be greater than or equal to 0'));
  }
}

function validateDnsConfig(errors: FieldError[], spec: JsonObject, path: string): void {
  const config = objectAt(spec, 'dnsConfig');
  const field = `${path}.dnsConfig`;
  const servers = arrayAt(config, 'nameservers');
  if (spec['dnsPolicy'] === 'None' && !isObject(spec['dnsConfig'])) {
    errors.push(required(field, 'must provide `dnsConfig` when `dnsPolicy` is None'));
    return;
  }
  if (spec['dnsPolicy'] === 'None' && servers.length === 0) {
    const text = 'must provide at least one DNS nameserver when `dnsPolicy` is None';
    errors.push(required(`${field}.nameservers`, text));
    return;
  }
  if (servers.length > MAX_NAMESERVERS) {
    const text = `must not have more than ${MAX_NAMESERVERS} nameservers`;
    errors.push(invalid(`${field}.nameservers`, servers, text));
  }
  for (const [index, server] of servers.entries())
    addTexts(errors, `${field}.nameservers[${index}]`, server, ipAddress(String(server)));
  validateSearches(errors, arrayAt(config, 'searches'), `${field}.searches`);
  for (const [index, option] of objectsAt(config, 'options').entries()) {
    if (stringAt(option, 'name') === '')
      errors.push(required(`${field}.options[${index}]`, 'must not be empty'));
  }
}

function validateSearches(errors: FieldError[], searches: readonly unknown[], field: string): void {
  if (searches.length > MAX_SEARCHES)
    errors.push(invalid(field, searches, `must not have more than ${MAX_SEARCHES} search paths`));
  if (searches.join(' ').length > MAX_SEARCHES_LENGTH) {
    const text = `must not have more than ${MAX_SEARCHES_LENGTH} characters (including spaces) in the search list`;
    errors.push(invalid(field, searches, text));
  }
  for (const [index, search] of searches.entries()) {
    const name = String(search);
    if (name === '.') continue;
    const bare = name.replace(/\.$/, '');
    addTexts(errors, `${field}[${index}]`, bare, dnsSubdomainWithUnderscore(bare));
  }
}

function validateHostPorts(errors: FieldError[], spec: JsonObject, path: string): void {
  for (const [index, container] of objectsAt(spec, 'containers').entries()) {
    for (const [at, port] of objectsAt(container, 'ports').entries()) {
      const host = numberAt(port, 'hostPort') ?? 0;
      // A template's ports get their host ports when a pod is made of it.
      if (host === port['containerPort'] || (host === 0 && path !== 'spec')) continue;
      const field = `${path}.containers[${index}].ports[${at}].hostPort`;
      errors.push(invalid(field, host, 'must match `containerPort` when `hostNetwork` is true'));
    }
  }
}
