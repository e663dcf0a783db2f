import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
  tooLong,
} from '../../field-error.ts';
import { dnsLabel, dnsSubdomain } from '../../formats.ts';
import { isObject, type JsonObject, numberAt, objectAt, objectsAt, stringAt } from '../../json-value.ts';
import { parseQuantity } from '../../quantity.ts';
import { addTexts, oneOf } from '../checks.ts';
import { validateClaimSpec } from '../claim-spec.ts';
import type { Volumes } from './mounts.ts';
import { validateDescendingPath, validateFileMode, validateKeyToPath, validateNoBacksteps } from './paths.ts';
import { validateDownwardFile, validateProjected } from './projected.ts';

/** In this order a volume's sources are looked at; the first one that is there is its own. */
const SOURCES = (
  'emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs flocker ' +
  'persistentVolumeClaim rbd cinder cephfs quobyte downwardAPI fc flexVolume configMap azureFile ' +
  'vsphereVolume photonPersistentDisk portworxVolume azureDisk storageos projected scaleIO csi ephemeral image'
).split(' ');
const HOST_PATH_TYPES = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];
const MAX_DRIVER_NAME = 63;
const MAX_LUN = 255;
const ISCSI_NAMES: Readonly<Record<string, RegExp>> = {
  iqn: /^iqn\.\d{4}-\d{2}\.([a-z0-9_.-]+)(:[^,;*&$|\s]+)$/i,
  eui: /^eui\.[a-z0-9]{16}$/i,
  naa: /^naa\.[a-z0-9]{32}$/i,
};

/** Rules of all volumes; gives those that mounts may refer to. */
export function validateVolumes(errors: FieldError[], spec: JsonObject, path: string): Volumes {
  const volumes = new Map<string, JsonObject>();
  for (const [index, volume] of objectsAt(spec, 'volumes').entries()) {
    const at = `${path}.volumes[${index}]`;
    const wrong: FieldError[] = [];
    const name = stringAt(volume, 'name');
    const [kind, ...extra] = SOURCES.filter((source) => isObject(volume[source]));
    if (kind === undefined) wrong.push(required(at, 'must specify a volume type'));
    else validateSource(wrong, kind, objectAt(volume, kind), `${at}.${kind}`);
    for (const source of extra)
      wrong.push(forbidden(`${at}.${source}`, 'may not specify more than 1 volume type'));
    if (name === '') wrong.push(required(`${at}.name`));
    else addTexts(wrong, `${at}.name`, name, dnsLabel(name));
    if (volumes.has(name)) wrong.push(duplicate(`${at}.name`, name));
    if (wrong.length === 0) volumes.set(name, volume);
    errors.push(...wrong);
  }
  return volumes;
}

type SourceRule = (errors: FieldError[], source: JsonObject, at: string) => void;

function validateSource(errors: FieldError[], kind: string, source: JsonObject, at: string): void {
  SOURCE_RULES[kind]?.(errors, source, at);
}

/** Kinds of volumes with rules of their own; the others are drivers that no cluster of today has in tree. */
const SOURCE_RULES: Readonly<Record<string, SourceRule>> = {
  emptyDir: (errors, source, at) => {
    const size = parseQuantity(source['sizeLimit']);
    if (size && size.nano < 0n)
      errors.push(forbidden(`${at}.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
  },
  hostPath: (errors, source, at) => {
    const path = stringAt(source, 'path');
    if (path === '') errors.push(required(`${at}.path`));
    else {
      validateNoBacksteps(errors, path, `${at}.path`);
      const type = stringAt(source, 'type');
      if (!HOST_PATH_TYPES.includes(type)) errors.push(notSupported(`${at}.type`, type, HOST_PATH_TYPES));
    }
  },
  gitRepo: (errors, source, at) => {
    if (stringAt(source, 'repository') === '') errors.push(required(`${at}.repository`));
    validateDescendingPath(errors, stringAt(source, 'directory'), `${at}.directory`);
  },
  secret: (errors, source, at) => {
    if (stringAt(source, 'secretName') === '') errors.push(required(`${at}.secretName`));
    validateKeyedFiles(errors, source, at);
  },
  configMap: (errors, source, at) => {
    if (stringAt(source, 'name') === '') errors.push(required(`${at}.name`));
    validateKeyedFiles(errors, source, at);
  },
  nfs: (errors, source, at) => {
    const path = stringAt(source, 'path');
    if (stringAt(source, 'server') === '') errors.push(required(`${at}.server`));
    if (path === '') errors.push(required(`${at}.path`));
    if (!path.startsWith('/')) errors.push(invalid(`${at}.path`, path, 'must be an absolute path'));
  },
  iscsi: validateIscsi,
  persistentVolumeClaim: (errors, source, at) => {
    if (stringAt(source, 'claimName') === '') errors.push(required(`${at}.claimName`));
  },
  downwardAPI: (errors, source, at) => {
    validateFileMode(errors, source, 'defaultMode', at);
    for (const item of objectsAt(source, 'items')) validateDownwardFile(errors, item, at);
  },
  projected: validateProjected,
  csi: (errors, source, at) => validateDriverName(errors, stringAt(source, 'driver'), `${at}.driver`),
  ephemeral: (errors, source, at) => {
    const template = source['volumeClaimTemplate'];
    if (!isObject(template)) errors.push(required(`${at}.volumeClaimTemplate`));
    else validateClaimSpec(errors, objectAt(template, 'spec'), `${at}.volumeClaimTemplate.spec`);
  },
  image: (errors, source, at) => {
    // A template may leave the reference to whoever makes pods of it.
    if (at.startsWith('spec.volumes[') && stringAt(source, 'reference') === '')
      errors.push(required(`${at}.reference`));
    oneOf(errors, source, 'pullPolicy', at, ['Always', 'IfNotPresent', 'Never'], true);
  },
};

function validateKeyedFiles(errors: FieldError[], source: JsonObject, at: string): void {
  validateFileMode(errors, source, 'defaultMode', at);
  for (const [index, item] of objectsAt(source, 'items').entries()) {
    validateKeyToPath(errors, item, `${at}.items[${index}]`);
  }
}

export function validateDriverName(errors: FieldError[], name: string, field: string): void {
  if (name === '') {
    errors.push(required(field));
    return;
  }
  if (name.length > MAX_DRIVER_NAME) errors.push(tooLong(field, MAX_DRIVER_NAME));
  addTexts(errors, field, name, dnsSubdomain(name.toLowerCase()));
}

function validateIscsi(errors: FieldError[], source: JsonObject, at: string): void {
  const name = stringAt(source, 'iqn');
  if (stringAt(source, 'targetPortal') === '') errors.push(required(`${at}.targetPortal`));
  if (name === '') errors.push(required(`${at}.iqn`));
  else {
    const format = ISCSI_NAMES[name.slice(0, 3)];
    if (!format)
      errors.push(invalid(`${at}.iqn`, name, 'must be valid format starting with iqn, eui, or naa'));
    else if (!format.test(name)) errors.push(invalid(`${at}.iqn`, name, 'must be valid format'));
  }
  const lun = numberAt(source, 'lun') ?? 0;
  if (lun < 0 || lun > MAX_LUN)
    errors.push(invalid(`${at}.lun`, lun, `must be between 0 and ${MAX_LUN}, inclusive`));
}
