import { type FieldError, forbidden, invalid, notFound, required } from '../../field-error.ts';
import { isObject, type JsonObject, objectAt, objectsAt, stringAt } from '../../json-value.ts';
import { oneOf } from '../checks.ts';
import { validateDescendingPath } from './paths.ts';

/** By name: the volumes that mounts may refer to. */
export type Volumes = ReadonlyMap<string, JsonObject>;

/** `volumeMounts` and `volumeDevices` of a container. */
export function validateMounts(
  errors: FieldError[],
  container: JsonObject,
  at: string,
  volumes: Volumes,
): void {
  const mounts = objectsAt(container, 'volumeMounts');
  const devices = objectsAt(container, 'volumeDevices');
  const deviceNames = new Set(devices.map((one) => stringAt(one, 'name')));
  const devicePaths = new Set(devices.map((one) => stringAt(one, 'devicePath')));
  const seen = new Set<string>();
  for (const [index, mount] of mounts.entries()) {
    const path = `${at}.volumeMounts[${index}]`;
    const name = stringAt(mount, 'name');
    if (name === '') errors.push(required(`${path}.name`));
    if (!volumes.has(name)) errors.push(notFound(`${path}.name`, name));
    const mountPath = stringAt(mount, 'mountPath');
    if (mountPath === '') errors.push(required(`${path}.mountPath`));
    if (seen.has(mountPath)) errors.push(invalid(`${path}.mountPath`, mountPath, 'must be unique'));
    seen.add(mountPath);
    if (deviceNames.has(name))
      errors.push(invalid(`${path}.name`, name, 'must not already exist in volumeDevices'));
    if (devicePaths.has(mountPath)) {
      const text = 'must not already exist as a path in volumeDevices';
      errors.push(invalid(`${path}.mountPath`, mountPath, text));
    }
    validateSubPaths(errors, mount, `${at}.volumeMounts`, path);
    validatePropagation(errors, container, mount, `${at}.volumeMounts`);
  }
  validateDevices(errors, devices, mounts, `${at}.volumeDevices`, volumes);
}

/** `field` is the list: upstream names it without the index for what is wrong with a path in it. */
function validateSubPaths(errors: FieldError[], mount: JsonObject, field: string, path: string): void {
  const sub = stringAt(mount, 'subPath');
  const expression = stringAt(mount, 'subPathExpr');
  if (sub !== '') validateDescendingPath(errors, sub, `${field}.subPath`);
  if (expression === '') return;
  if (sub !== '') {
    const text = 'subPathExpr and subPath are mutually exclusive';
    errors.push(invalid(`${path}.subPathExpr`, expression, text));
  }
  validateDescendingPath(errors, expression, `${field}.subPathExpr`);
}

function validatePropagation(
  errors: FieldError[],
  container: JsonObject,
  mount: JsonObject,
  field: string,
): void {
  const mode = stringAt(mount, 'mountPropagation');
  oneOf(errors, mount, 'mountPropagation', field, ['Bidirectional', 'HostToContainer', 'None']);
  if (mode === 'Bidirectional' && objectAt(container, 'securityContext')['privileged'] !== true) {
    const text = 'Bidirectional mount propagation is available only to privileged containers';
    errors.push(forbidden(`${field}.mountPropagation`, text));
  }
  const recursive = stringAt(mount, 'recursiveReadOnly');
  if (recursive === 'Enabled' || recursive === 'IfPossible') {
    const at = `${field}.recursiveReadOnly`;
    if (mount['readOnly'] !== true) errors.push(forbidden(at, 'may only be specified when readOnly is true'));
    if (mode !== '' && mode !== 'None') {
      const text = 'may only be specified when mountPropagation is None or not specified';
      errors.push(forbidden(at, text));
    }
  } else oneOf(errors, mount, 'recursiveReadOnly', field, ['Disabled', 'Enabled', 'IfPossible']);
}

function validateDevices(
  errors: FieldError[],
  devices: readonly JsonObject[],
  mounts: readonly JsonObject[],
  field: string,
  volumes: Volumes,
): void {
  const mountNames = new Set(mounts.map((one) => stringAt(one, 'name')));
  const mountPaths = new Set(mounts.map((one) => stringAt(one, 'mountPath')));
  const names = new Set<string>();
  const paths = new Set<string>();
  for (const [index, device] of devices.entries()) {
    const at = `${field}[${index}]`;
    const name = stringAt(device, 'name');
    const path = stringAt(device, 'devicePath');
    const volume = volumes.get(name);
    if (name === '') errors.push(required(`${at}.name`));
    if (names.has(name)) errors.push(invalid(`${at}.name`, name, 'must be unique'));
    if (volume && !isObject(volume['persistentVolumeClaim']) && !isObject(volume['ephemeral'])) {
      const text = 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode';
      errors.push(invalid(`${at}.name`, name, text));
    }
    if (!volume) errors.push(notFound(`${at}.name`, name));
    if (path === '') errors.push(required(`${at}.devicePath`));
    if (paths.has(path)) errors.push(invalid(`${at}.devicePath`, path, 'must be unique'));
    if (path.split('/').includes('..'))
      errors.push(invalid(`${at}.devicePath`, path, "can not contain backsteps ('..')"));
    if (mountNames.has(name))
      errors.push(invalid(`${at}.name`, name, 'must not already exist in volumeMounts'));
    if (mountPaths.has(path)) {
      const text = 'must not already exist as a path in volumeMounts';
      errors.push(invalid(`${at}.devicePath`, path, text));
    }
    if (name !== '') names.add(name);
    paths.add(path);
  }
}
