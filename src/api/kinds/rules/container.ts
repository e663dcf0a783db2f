import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notFound,
  notSupported,
  required,
} from '../field-error.ts';
import { dnsLabel, dnsSubdomain, envVarName, portName, portNumber, qualifiedName } from '../formats.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  textOf,
} from '../json-value.ts';
import { compareQuantities, parseQuantity } from '../quantity.ts';
import { addTexts, nonNegative, oneOf } from './checks.ts';

const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'];
const FIELD_PATHS =
  /^(metadata\.(name|namespace|uid|annotations|labels)(\['[^']+'\])?|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?))$/;

interface Names {
  readonly containers: Set<string>;
  readonly volumes: ReadonlySet<string>;
}

/** Rules of all containers of a pod spec. */
export function validateContainers(
  errors: FieldError[],
  spec: JsonObject,
  path: string,
  volumes: ReadonlySet<string>,
): void {
  const containers = objectsAt(spec, 'containers');
  if (containers.length === 0) errors.push(required(`${path}.containers`));
  const names: Names = { containers: new Set(), volumes };
  for (const [index, one] of containers.entries()) {
    const at = `${path}.containers[${index}]`;
    validateContainer(errors, one, at, names);
    if (stringAt(one, 'restartPolicy') !== '' && arrayAt(one, 'restartPolicyRules').length === 0) {
      oneOf(errors, one, 'restartPolicy', at, ['Always', 'Never', 'OnFailure']);
    }
  }
  for (const [index, one] of objectsAt(spec, 'initContainers').entries()) {
    const at = `${path}.initContainers[${index}]`;
    validateContainer(errors, one, at, names);
    validateInit(errors, one, at);
  }
}

/** Init containers run to completion: only restartable ones (sidecars) have probes and hooks. */
function validateInit(errors: FieldError[], container: JsonObject, at: string): void {
  oneOf(errors, container, 'restartPolicy', at, ['Always', 'Never', 'OnFailure']);
  if (container['restartPolicy'] === 'Always') return;
  for (const name of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (isObject(container[name])) {
      errors.push(
        forbidden(`${at}.${name}`, 'may not be set for init containers without restartPolicy=Always'),
      );
    }
  }
}

function validateContainer(errors: FieldError[], container: JsonObject, at: string, names: Names): void {
  const name = stringAt(container, 'name');
  if (name === '') errors.push(required(`${at}.name`));
  else addTexts(errors, `${at}.name`, name, dnsLabel(name));
  if (name !== '' && names.containers.has(name)) errors.push(duplicate(`${at}.name`, name));
  names.containers.add(name);
  const image = stringAt(container, 'image');
  if (image === '') errors.push(required(`${at}.image`));
  else if (image !== image.trim())
    errors.push(invalid(`${at}.image`, image, 'must not have leading or trailing whitespace'));
  validatePorts(errors, container, at);
  validateEnv(errors, container, at);
  validateMounts(errors, container, at, names.volumes);
  oneOf(errors, container, 'imagePullPolicy', at, ['Always', 'IfNotPresent', 'Never'], true);
  oneOf(errors, container, 'terminationMessagePolicy', at, ['FallbackToLogsOnError', 'File'], true);
  validateResources(errors, objectAt(container, 'resources'), `${at}.resources`);
  for (const kind of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[kind];
    if (isObject(probe)) validateProbe(errors, probe, `${at}.${kind}`, kind !== 'readinessProbe');
  }
  const lifecycle = objectAt(container, 'lifecycle');
  for (const hook of ['postStart', 'preStop']) {
    if (isObject(lifecycle[hook])) validateHandler(errors, lifecycle[hook], `${at}.lifecycle.${hook}`);
  }
}

function validatePorts(errors: FieldError[], container: JsonObject, at: string): void {
  const names = new Set<string>();
  for (const [index, port] of objectsAt(container, 'ports').entries()) {
    const path = `${at}.ports[${index}]`;
    const name = stringAt(port, 'name');
    if (name !== '') {
      addTexts(errors, `${path}.name`, name, portName(name));
      if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
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

function validateEnv(errors: FieldError[], container: JsonObject, at: string): void {
  for (const [index, one] of objectsAt(container, 'env').entries()) {
    const path = `${at}.env[${index}]`;
    const name = stringAt(one, 'name');
    if (name === '') errors.push(required(`${path}.name`));
    else addTexts(errors, `${path}.name`, name, envVarName(name));
    if (isObject(one['valueFrom'])) validateValueFrom(errors, one, one['valueFrom'], path);
  }
  for (const [index, one] of objectsAt(container, 'envFrom').entries()) {
    const path = `${at}.envFrom[${index}]`;
    const sources = ['configMapRef', 'secretRef'].filter((name) => isObject(one[name]));
    if (sources.length === 0)
      errors.push(invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (sources.length > 1)
      errors.push(invalid(path, '', 'may not have more than one field specified at a time'));
    for (const source of sources) {
      const name = stringAt(one[source], 'name');
      if (name === '') errors.push(required(`${path}.${source}.name`));
      else addTexts(errors, `${path}.${source}.name`, name, dnsSubdomain(name));
    }
  }
}

function validateValueFrom(errors: FieldError[], env: JsonObject, source: JsonObject, path: string): void {
  const kinds = Object.keys(source).filter((name) => isObject(source[name]));
  const at = `${path}.valueFrom`;
  if (kinds.length === 0) {
    errors.push(
      invalid(
        at,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ),
    );
  } else if (stringAt(env, 'value') !== '') {
    errors.push(invalid(at, '', 'may not be specified when `value` is not empty'));
  } else if (kinds.length > 1)
    errors.push(invalid(at, '', 'may not have more than one field specified at a time'));
  for (const kind of kinds.filter((one) => one === 'configMapKeyRef' || one === 'secretKeyRef')) {
    for (const name of ['name', 'key']) {
      if (stringAt(source[kind], name) === '') errors.push(required(`${at}.${kind}.${name}`));
    }
  }
  if (!isObject(source['fieldRef'])) return;
  const fieldPath = stringAt(source['fieldRef'], 'fieldPath');
  if (fieldPath === '') errors.push(required(`${at}.fieldRef.fieldPath`));
  else if (!FIELD_PATHS.test(fieldPath)) {
    const supported = [
      'metadata.name',
      'metadata.namespace',
      'metadata.uid',
      'spec.nodeName',
      'spec.serviceAccountName',
      'status.hostIP',
      'status.hostIPs',
      'status.podIP',
      'status.podIPs',
    ];
    errors.push(notSupported(`${at}.fieldRef.fieldPath`, fieldPath, supported));
  }
}

function validateMounts(
  errors: FieldError[],
  container: JsonObject,
  at: string,
  volumes: ReadonlySet<string>,
): void {
  const paths = new Set<string>();
  for (const [index, mount] of objectsAt(container, 'volumeMounts').entries()) {
    const path = `${at}.volumeMounts[${index}]`;
    const name = stringAt(mount, 'name');
    if (name === '') errors.push(required(`${path}.name`));
    else if (!volumes.has(name)) errors.push(notFound(`${path}.name`, name));
    const mountPath = stringAt(mount, 'mountPath');
    if (mountPath === '') errors.push(required(`${path}.mountPath`));
    else if (paths.has(mountPath)) errors.push(invalid(`${path}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    const sub = stringAt(mount, 'subPath');
    if (sub.startsWith('/')) errors.push(invalid(`${path}.subPath`, sub, 'must be a relative path'));
    else if (sub.split('/').includes('..'))
      errors.push(invalid(`${path}.subPath`, sub, "must not contain '..'"));
  }
}

/** limits and requests: known names, not negative, requests within limits. */
export function validateResources(errors: FieldError[], resources: JsonObject, at: string): void {
  const limits = objectAt(resources, 'limits');
  const requests = objectAt(resources, 'requests');
  for (const [list, values] of [
    ['limits', limits],
    ['requests', requests],
  ] as const) {
    for (const [name, value] of Object.entries(values)) validateAmount(errors, name, value, `${at}.${list}`);
  }
  for (const [name, value] of Object.entries(requests)) {
    const limit = limits[name];
    if (limit !== undefined && (compareQuantities(value, limit) ?? 0) > 0) {
      const text = `must be less than or equal to ${name} limit of ${textOf(limit)}`;
      errors.push(invalid(`${at}.requests`, value, text));
    }
  }
}

function validateAmount(errors: FieldError[], name: string, value: unknown, field: string): void {
  addTexts(errors, `${field}[${name}]`, name, qualifiedName(name));
  const standard =
    name === 'cpu' || name === 'memory' || name === 'ephemeral-storage' || name.startsWith('hugepages-');
  if (!standard && !name.includes('/')) {
    errors.push(invalid(`${field}[${name}]`, name, 'must be a standard resource type or fully qualified'));
    errors.push(invalid(`${field}[${name}]`, name, 'must be a standard resource for containers'));
  }
  const quantity = parseQuantity(value);
  if (quantity && quantity.nano < 0n) {
    errors.push(invalid(`${field}[${name}]`, value, 'must be greater than or equal to 0'));
  } else if (quantity && name.includes('/') && quantity.nano % 1_000_000_000n !== 0n) {
    errors.push(invalid(`${field}[${name}]`, value, 'must be an integer'));
  }
}

function validateProbe(errors: FieldError[], probe: JsonObject, at: string, once: boolean): void {
  validateHandler(errors, probe, at);
  for (const name of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    nonNegative(errors, probe, name, at);
  }
  const successes = numberAt(probe, 'successThreshold');
  if (once && successes !== undefined && successes !== 1)
    errors.push(invalid(`${at}.successThreshold`, successes, 'must be 1'));
  const grace = numberAt(probe, 'terminationGracePeriodSeconds');
  if (grace !== undefined && !once)
    errors.push(invalid(`${at}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'));
  else if (grace !== undefined && grace <= 0)
    errors.push(invalid(`${at}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
}

function validateHandler(errors: FieldError[], handler: JsonObject, at: string): void {
  const kinds = HANDLERS.filter((name) => isObject(handler[name]));
  if (kinds.length === 0) errors.push(required(at, 'must specify a handler type'));
  for (const extra of kinds.slice(1))
    errors.push(forbidden(`${at}.${extra}`, 'may not specify more than 1 handler type'));
  if (isObject(handler['exec']) && arrayAt(handler['exec'], 'command').length === 0)
    errors.push(required(`${at}.exec.command`));
  for (const name of ['httpGet', 'tcpSocket', 'grpc']) {
    const action = handler[name];
    if (!isObject(action)) continue;
    const port = action['port'];
    if (typeof port === 'string') addTexts(errors, `${at}.${name}.port`, port, portName(port));
    else addTexts(errors, `${at}.${name}.port`, port ?? 0, portNumber(numberAt(action, 'port') ?? 0));
    if (name === 'httpGet') {
      if (stringAt(action, 'path') === '') errors.push(required(`${at}.httpGet.path`));
      oneOf(errors, action, 'scheme', `${at}.httpGet`, ['HTTP', 'HTTPS'], true);
    }
  }
}
