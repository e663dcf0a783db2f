/** Security contexts, of pods and containers, and what an operating system has to do with them. */
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
  tooLong,
} from '../../field-error.ts';
import { arrayAt, isObject, type JsonObject, objectAt, objectsAt, stringAt } from '../../json-value.ts';
import { oneOf } from '../checks.ts';
import { validateDescendingPath } from './paths.ts';

const MAX_ID = 2_147_483_647;
const PROFILES = ['Localhost', 'RuntimeDefault', 'Unconfined'];
const MAX_PROFILE_PATH = 4095;
const MAX_SYSCTL = 253;
const SYSCTL = '^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$';
const SYSCTL_PATTERN = new RegExp(SYSCTL);
const NOT_ON_WINDOWS = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'sysctls',
  'runAsUser',
  'runAsGroup',
  'supplementalGroups',
  'supplementalGroupsPolicy',
  'seLinuxChangePolicy',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
];

export function validatePodSecurity(errors: FieldError[], spec: JsonObject, path: string): void {
  const context = objectAt(spec, 'securityContext');
  const at = `${path}.securityContext`;
  for (const name of ['fsGroup', 'runAsUser', 'runAsGroup'])
    validateId(errors, context[name], `${at}.${name}`);
  for (const [index, group] of arrayAt(context, 'supplementalGroups').entries())
    validateId(errors, group, `${at}.supplementalGroups[${index}]`);
  if (spec['shareProcessNamespace'] === true && spec['hostPID'] === true) {
    const text = 'ShareProcessNamespace and HostPID cannot both be enabled';
    errors.push(invalid(`${at}.shareProcessNamespace`, true, text));
  }
  validateSysctls(errors, context, spec, `${at}.sysctls`);
  oneOf(errors, context, 'fsGroupChangePolicy', at, ['Always', 'OnRootMismatch']);
  validateProfiles(errors, context, at);
  oneOf(errors, context, 'supplementalGroupsPolicy', at, ['Merge', 'Strict']);
  oneOf(errors, context, 'seLinuxChangePolicy', at, ['MountOption', 'Recursive']);
}

export function validateContainerSecurity(
  errors: FieldError[],
  container: JsonObject,
  path: string,
  hostUsers: boolean,
): void {
  const context = objectAt(container, 'securityContext');
  const at = `${path}.securityContext`;
  for (const name of ['runAsUser', 'runAsGroup']) validateId(errors, context[name], `${at}.${name}`);
  oneOf(errors, context, 'procMount', at, ['Default', 'Unmasked']);
  if (hostUsers && context['procMount'] === 'Unmasked')
    errors.push(invalid(`${at}.procMount`, 'Unmasked', '`hostUsers` must be false to use `Unmasked`'));
  validateProfiles(errors, context, at);
  if (context['allowPrivilegeEscalation'] !== false) return;
  const text = 'cannot set `allowPrivilegeEscalation` to false and';
  if (context['privileged'] === true) errors.push(invalid(at, context, `${text} \`privileged\` to true`));
  if (arrayAt(context['capabilities'], 'add').includes('CAP_SYS_ADMIN'))
    errors.push(invalid(at, context, `${text} \`capabilities.Add\` CAP_SYS_ADMIN`));
}

function validateId(errors: FieldError[], id: unknown, field: string): void {
  if (typeof id !== 'number' || (id >= 0 && id <= MAX_ID)) return;
  errors.push(invalid(field, id, `must be between 0 and ${MAX_ID}, inclusive`));
}

function validateSysctls(errors: FieldError[], context: JsonObject, spec: JsonObject, field: string): void {
  const names = new Set<string>();
  for (const [index, one] of objectsAt(context, 'sysctls').entries()) {
    const at = `${field}[${index}].name`;
    const name = stringAt(one, 'name');
    if (name === '') errors.push(required(at));
    else if (name.length > MAX_SYSCTL || !SYSCTL_PATTERN.test(name)) {
      const text = `must have at most ${MAX_SYSCTL} characters and match regex ${SYSCTL}`;
      errors.push(invalid(at, name, text));
    } else if (names.has(name)) errors.push(duplicate(at, name));
    names.add(name);
    if (spec['hostNetwork'] === true && name.startsWith('net.'))
      errors.push(invalid(at, name, "may not be specified when 'hostNetwork' is true"));
    if (spec['hostIPC'] === true && /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/.test(name))
      errors.push(invalid(at, name, "may not be specified when 'hostIPC' is true"));
  }
}

function validateProfiles(errors: FieldError[], context: JsonObject, at: string): void {
  const seccomp = context['seccompProfile'];
  if (isObject(seccomp)) {
    validateProfile(errors, seccomp, `${at}.seccompProfile`, 'seccomp');
    const path = seccomp['localhostProfile'];
    if (seccomp['type'] === 'Localhost' && typeof path === 'string')
      validateDescendingPath(errors, path, `${at}.seccompProfile.localhostProfile`);
  }
  const armor = context['appArmorProfile'];
  if (!isObject(armor)) return;
  validateProfile(errors, armor, `${at}.appArmorProfile`, 'AppArmor');
  const name = armor['localhostProfile'];
  if (armor['type'] !== 'Localhost' || typeof name !== 'string') return;
  const field = `${at}.appArmorProfile.localhostProfile`;
  if (name.trim() !== name) errors.push(invalid(field, name, 'must not be padded with whitespace'));
  else if (name === '') errors.push(required(field, 'must be set when AppArmor type is Localhost'));
  if (name.length > MAX_PROFILE_PATH) errors.push(tooLong(field, MAX_PROFILE_PATH));
}

function validateProfile(errors: FieldError[], profile: JsonObject, at: string, what: string): void {
  const type = stringAt(profile, 'type');
  const own = at.slice(at.lastIndexOf('.') + 1);
  if (type === '') errors.push(required(`${at}.type`, `type is required when ${own} is set`));
  else if (!PROFILES.includes(type)) errors.push(notSupported(`${at}.type`, type, PROFILES));
  const path = profile['localhostProfile'];
  if (type === 'Localhost' && typeof path !== 'string') {
    errors.push(required(`${at}.localhostProfile`, `must be set when ${what} type is Localhost`));
  } else if (type !== 'Localhost' && typeof path === 'string') {
    const text = `can only be set when ${what} type is Localhost`;
    errors.push(invalid(`${at}.localhostProfile`, path, text));
  }
}

/** `os.name`, and what a pod of that system may not ask for. */
export function validateSystem(errors: FieldError[], spec: JsonObject, path: string): void {
  const os = spec['os'];
  if (!isObject(os)) return;
  const name = stringAt(os, 'name');
  if (name === '') errors.push(required(`${path}.os.name`));
  else if (name !== 'linux' && name !== 'windows')
    errors.push(notSupported(`${path}.os`, name, ['linux', 'windows']));
  if (name === 'windows') {
    for (const field of ['hostUsers', 'hostPID', 'hostIPC', 'shareProcessNamespace']) {
      if (spec[field] !== undefined && spec[field] !== false)
        errors.push(forbidden(`${path}.${field}`, 'cannot be set for a windows pod'));
    }
  }
  validateForSystem(errors, spec['securityContext'], `${path}.securityContext`, name);
  for (const list of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const [index, container] of objectsAt(spec, list).entries()) {
      const at = `${path}.${list}[${index}].securityContext`;
      validateForSystem(errors, container['securityContext'], at, name);
    }
  }
}

function validateForSystem(errors: FieldError[], context: unknown, at: string, name: string): void {
  if (!isObject(context)) return;
  if (name === 'linux' && isObject(context['windowsOptions']))
    errors.push(forbidden(`${at}.windowsOptions`, 'windows options cannot be set for a linux pod'));
  for (const field of name === 'windows' ? NOT_ON_WINDOWS : []) {
    if (context[field] !== undefined)
      errors.push(forbidden(`${at}.${field}`, 'cannot be set for a windows pod'));
  }
}
