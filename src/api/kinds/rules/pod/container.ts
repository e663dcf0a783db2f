import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notFound,
  notSupported,
  required,
  tooLong,
} from '../../field-error.ts';
import { dnsLabel, portName, portNumber } from '../../formats.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../../json-value.ts';
import { addTexts, oneOf } from '../checks.ts';
import { validateEnvironment } from './environment.ts';
import { validateMounts, type Volumes } from './mounts.ts';
import { validateHooksAndProbes } from './probes.ts';
import { validateResources } from './resources.ts';
import { validateContainerSecurity } from './security.ts';

const MAX_RESTART_RULES = 20;
const NOT_FOR_INIT = 'may not be set for init containers without restartPolicy=Always';
const EPHEMERAL_FORBIDDEN = ['ports', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'];

/** What containers may refer to, and what they are judged by. */
interface PodParts {
  readonly volumes: Volumes;
  readonly claimNames: readonly string[];
  readonly hostUsers: boolean;
  readonly graceSeconds: number | undefined;
  readonly restartPolicy: string;
}

/** Rules of all containers of a pod spec. */
export function validateContainers(
  errors: FieldError[],
  spec: JsonObject,
  path: string,
  volumes: Volumes,
): void {
  const parts: PodParts = {
    volumes,
    claimNames: objectsAt(spec, 'resourceClaims').map((one) => stringAt(one, 'name')),
    hostUsers: spec['hostUsers'] !== false,
    graceSeconds: numberAt(spec, 'terminationGracePeriodSeconds'),
    restartPolicy: stringAt(spec, 'restartPolicy'),
  };
  const containers = objectsAt(spec, 'containers');
  if (containers.length === 0) errors.push(required(`${path}.containers`));
  const names = new Set<string>();
  for (const [index, one] of containers.entries()) {
    const at = `${path}.containers[${index}]`;
    validateCommon(errors, one, at, parts);
    validateUnique(errors, one, at, names);
    validateHooksAndProbes(errors, one, at, parts.graceSeconds);
    validateRestart(errors, one, at);
  }
  validateHostPorts(errors, containers, `${path}.containers`);
  for (const [index, one] of objectsAt(spec, 'initContainers').entries()) {
    const at = `${path}.initContainers[${index}]`;
    validateCommon(errors, one, at, parts);
    validateRestart(errors, one, at);
    validateUnique(errors, one, at, names);
    validateHostPorts(errors, [one], `${path}.initContainers`);
    if (one['restartPolicy'] === 'Always') validateHooksAndProbes(errors, one, at, parts.graceSeconds);
    else
      forbidAll(
        errors,
        one,
        at,
        ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'],
        NOT_FOR_INIT,
      );
  }
  validateEphemeral(errors, spec, path, parts, names);
}

function validateEphemeral(
  errors: FieldError[],
  spec: JsonObject,
  path: string,
  parts: PodParts,
  names: Set<string>,
): void {
  const others = new Set(names);
  for (const [index, one] of objectsAt(spec, 'ephemeralContainers').entries()) {
    const at = `${path}.ephemeralContainers[${index}]`;
    validateCommon(errors, one, at, parts);
    validateUnique(errors, one, at, names);
    const target = stringAt(one, 'targetContainerName');
    if (target !== '' && !others.has(target)) errors.push(notFound(`${at}.targetContainerName`, target));
    const text = 'cannot be set for an Ephemeral Container';
    forbidAll(errors, one, at, EPHEMERAL_FORBIDDEN, text);
    if (Object.keys(objectAt(one, 'resources')).length > 0) errors.push(forbidden(`${at}.resources`, text));
    for (const [mount, { subPath }] of objectsAt(one, 'volumeMounts').entries()) {
      if (subPath) errors.push(forbidden(`${at}.volumeMounts[${mount}].subPath`, text));
    }
  }
}

function forbidAll(
  errors: FieldError[],
  container: JsonObject,
  at: string,
  names: readonly string[],
  text: string,
): void {
  for (const name of names) {
    if (container[name] !== undefined) errors.push(forbidden(`${at}.${name}`, text));
  }
}

function validateUnique(errors: FieldError[], container: JsonObject, at: string, names: Set<string>): void {
  const name = stringAt(container, 'name');
  if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
  else if (name !== '') names.add(name);
}

function validateCommon(errors: FieldError[], container: JsonObject, at: string, parts: PodParts): void {
  const name = stringAt(container, 'name');
  if (name === '') errors.push(required(`${at}.name`));
  else addTexts(errors, `${at}.name`, name, dnsLabel(name));
  if (stringAt(container, 'image') === '') errors.push(required(`${at}.image`));
  oneOf(errors, container, 'terminationMessagePolicy', at, ['File', 'FallbackToLogsOnError'], true);
  validatePorts(errors, container, at);
  validateEnvironment(errors, container, at);
  validateMounts(errors, container, at, parts.volumes);
  oneOf(errors, container, 'imagePullPolicy', at, ['Always', 'IfNotPresent', 'Never'], true);
  validateResources(errors, objectAt(container, 'resources'), `${at}.resources`, parts.claimNames);
  validateResizePolicy(errors, container, `${at}.resizePolicy`, parts.restartPolicy);
  validateContainerSecurity(errors, container, at, parts.hostUsers);
}

function validatePorts(errors: FieldError[], container: JsonObject, at: string): void {
  const names = new Set<string>();
  for (const [index, port] of objectsAt(container, 'ports').entries()) {
    const path = `${at}.ports[${index}]`;
    const name = stringAt(port, 'name');
    if (name !== '') {
      const texts = portName(name);
      addTexts(errors, `${path}.name`, name, texts);
      if (texts.length === 0 && names.has(name)) errors.push(duplicate(`${path}.name`, name));
      names.add(name);
    }
    const number = numberAt(port, 'containerPort') ?? 0;
    if (number === 0) errors.push(required(`${path}.containerPort`));
    else addTexts(errors, `${path}.containerPort`, number, portNumber(number));
    const host = numberAt(port, 'hostPort') ?? 0;
    if (host !== 0) addTexts(errors, `${path}.hostPort`, host, portNumber(host));
    oneOf(errors, port, 'protocol', path, ['SCTP', 'TCP', 'UDP'], true);
  }
}

/** Two containers cannot have one port of the host; `path` is their list. */
function validateHostPorts(errors: FieldError[], containers: readonly JsonObject[], path: string): void {
  const taken = new Set<string>();
  for (const [index, container] of containers.entries()) {
    for (const [at, port] of objectsAt(container, 'ports').entries()) {
      const host = numberAt(port, 'hostPort') ?? 0;
      if (host === 0) continue;
      const key = `${stringAt(port, 'protocol')}/${stringAt(port, 'hostIP')}/${host}`;
      if (taken.has(key)) errors.push(duplicate(`${path}[${index}].ports[${at}].hostPort`, key));
      taken.add(key);
    }
  }
}

function validateRestart(errors: FieldError[], container: JsonObject, at: string): void {
  const rules = arrayAt(container, 'restartPolicyRules');
  if (rules.length > 0 && stringAt(container, 'restartPolicy') === '') {
    const text = 'must specify restartPolicy when restart rules are used';
    errors.push(required(`${at}.restartPolicy`, text));
  }
  oneOf(errors, container, 'restartPolicy', at, ['Always', 'Never', 'OnFailure']);
  if (rules.length > MAX_RESTART_RULES) errors.push(tooLong(`${at}.restartPolicyRules`, MAX_RESTART_RULES));
  for (const [index, rule] of objectsAt(container, 'restartPolicyRules').entries()) {
    const path = `${at}.restartPolicyRules[${index}]`;
    oneOf(errors, rule, 'action', path, ['Restart']);
    if (!isObject(rule['exitCodes'])) errors.push(required(`${path}.exitCodes`, 'must be specified'));
    else oneOf(errors, rule['exitCodes'], 'operator', `${path}.exitCodes`, ['In', 'NotIn']);
  }
}

/** Upstream names the list, not its entry, for all but a repeated resource. */
function validateResizePolicy(
  errors: FieldError[],
  container: JsonObject,
  field: string,
  podPolicy: string,
): void {
  const seen = new Set<string>();
  for (const [index, one] of objectsAt(container, 'resizePolicy').entries()) {
    const resource = stringAt(one, 'resourceName');
    const policy = stringAt(one, 'restartPolicy');
    if (seen.has(resource)) errors.push(duplicate(`${field}[${index}]`, resource));
    seen.add(resource);
    for (const [value, known] of [
      [resource, ['cpu', 'memory']],
      [policy, ['NotRequired', 'RestartContainer']],
    ] as const) {
      if (value === '') errors.push(required(field));
      else if (!(known as readonly string[]).includes(value)) errors.push(notSupported(field, value, known));
    }
    if (podPolicy === 'Never' && policy !== 'NotRequired')
      errors.push(invalid(field, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
  }
}

/** Blanks around an image are told of pods only: templates had them before there was a rule. */
export function validateImages(errors: FieldError[], spec: JsonObject, path: string): void {
  for (const list of ['containers', 'initContainers']) {
    for (const [index, one] of objectsAt(spec, list).entries()) {
      const image = stringAt(one, 'image');
      if (image === image.trim()) continue;
      const text = 'must not have leading or trailing whitespace';
      errors.push(invalid(`${path}.${list}[${index}].image`, image, text));
    }
  }
}
