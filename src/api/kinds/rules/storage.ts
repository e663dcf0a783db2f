import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { dnsSubdomain, qualifiedName } from '../formats.ts';
import {
  arrayAt,
  cloneJson,
  ensureObject,
  equalJson,
  isObject,
  type JsonObject,
  objectAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { compareQuantities, parseQuantity } from '../quantity.ts';
import { addTexts, oneOf, validateSelector } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const VOLUME_MODES = ['Block', 'Filesystem'];
/** Fields of a PersistentVolumeSpec that are not its source. */
const VOLUME_FIELDS = new Set(['capacity', 'claimRef', 'nodeAffinity']);

function validateModes(errors: FieldError[], spec: JsonObject): void {
  const modes = arrayAt(spec, 'accessModes');
  if (modes.length === 0) errors.push(required('spec.accessModes', 'at least 1 access mode is required'));
  for (const mode of modes) {
    if (!ACCESS_MODES.includes(String(mode)))
      errors.push(notSupported('spec.accessModes', mode, ACCESS_MODES));
  }
  if (modes.includes('ReadWriteOncePod') && modes.length > 1) {
    errors.push(forbidden('spec.accessModes', 'may not use ReadWriteOncePod with other access modes'));
  }
}

function validatePositive(errors: FieldError[], value: unknown, field: string): void {
  const quantity = parseQuantity(value);
  if (quantity && quantity.nano <= 0n) errors.push(invalid(field, value, 'must be greater than zero'));
}

function validateVolume(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  validateModes(errors, spec);
  const capacity = objectAt(spec, 'capacity');
  const names = Object.keys(capacity);
  if (names.length === 0) errors.push(required('spec.capacity'));
  else if (!('storage' in capacity) || names.length > 1)
    errors.push(notSupported('spec.capacity', capacity, ['storage']));
  validatePositive(errors, capacity['storage'], 'spec.capacity[storage]');
  const sources = Object.keys(spec).filter((name) => isObject(spec[name]) && !VOLUME_FIELDS.has(name));
  if (sources.length === 0) errors.push(required('spec', 'must specify a volume type'));
  for (const extra of sources.slice(1))
    errors.push(forbidden(`spec.${extra}`, 'may not specify more than 1 volume type'));
  oneOf(errors, spec, 'persistentVolumeReclaimPolicy', 'spec', ['Delete', 'Recycle', 'Retain']);
  oneOf(errors, spec, 'volumeMode', 'spec', VOLUME_MODES);
  const path = stringAt(spec['hostPath'], 'path');
  if (isObject(spec['hostPath']) && path === '') errors.push(required('spec.hostPath.path'));
  else if (path.split('/').includes('..'))
    errors.push(invalid('spec.hostPath.path', path, "must not contain '..'"));
  const storageClass = stringAt(spec, 'storageClassName');
  if (storageClass !== '')
    addTexts(errors, 'spec.storageClassName', storageClass, dnsSubdomain(storageClass));
  return errors;
}

function sourceOf(spec: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(spec).filter(([name, value]) => isObject(value) && !VOLUME_FIELDS.has(name)),
  );
}

export const PERSISTENT_VOLUME_RULES: KindRules = {
  shortNames: ['pv'],
  selectable: { 'spec.claimRef.name': 'spec.claimRef.name' },
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    if (!spec) return;
    setDefault(spec, 'persistentVolumeReclaimPolicy', 'Retain');
    setDefault(spec, 'volumeMode', 'Filesystem');
    if (isObject(spec['hostPath'])) spec['hostPath']['type'] ??= '';
    const status = ensureObject(object, 'status');
    if (status) setDefault(status, 'phase', 'Pending');
  },
  prepareCreate: (object) => {
    object['status'] = { phase: 'Pending' };
  },
  validate: validateVolume,
  validateUpdate: (object, old) => {
    const [spec, before] = [objectAt(object, 'spec'), objectAt(old, 'spec')];
    const errors = immutable(spec['volumeMode'], before['volumeMode'], 'spec.volumeMode');
    if (!equalJson(sourceOf(spec), sourceOf(before))) {
      errors.push(
        forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'),
      );
    }
    return errors;
  },
};

function validateClaim(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  validateModes(errors, spec);
  const storage = objectAt(objectAt(spec, 'resources'), 'requests')['storage'];
  if (storage === undefined) errors.push(required('spec.resources[storage]'));
  else validatePositive(errors, storage, 'spec.resources[storage]');
  if (isObject(spec['selector'])) validateSelector(errors, spec['selector'], 'spec.selector');
  const storageClass = stringAt(spec, 'storageClassName');
  if (storageClass !== '')
    addTexts(errors, 'spec.storageClassName', storageClass, dnsSubdomain(storageClass));
  oneOf(errors, spec, 'volumeMode', 'spec', VOLUME_MODES);
  return errors;
}

/** Only the requested size may grow, and only while bound; the binder fills volumeName and class once. */
function validateClaimUpdate(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [spec, before] = [cloneJson(objectAt(object, 'spec')), objectAt(old, 'spec')];
  if (stringAt(before, 'volumeName') === '') {
    if (spec['volumeName'] === undefined) delete spec['volumeName'];
    else spec['volumeName'] = before['volumeName'];
  }
  if (before['storageClassName'] === undefined) delete spec['storageClassName'];
  if (before['volumeAttributesClassName'] !== spec['volumeAttributesClassName']) {
    spec['volumeAttributesClassName'] = before['volumeAttributesClassName'];
  }
  const requests = objectAt(objectAt(spec, 'resources'), 'requests');
  const wanted = requests['storage'];
  const had = objectAt(objectAt(before, 'resources'), 'requests')['storage'];
  const errors: FieldError[] = [];
  const bound = stringAt(old['status'], 'phase') === 'Bound';
  if (bound && (compareQuantities(wanted, had) ?? 0) < 0) {
    const text = 'field can not be less than status.capacity';
    if ((compareQuantities(wanted, objectAt(objectAt(old, 'status'), 'capacity')['storage']) ?? -1) < 0) {
      errors.push(forbidden('spec.resources.requests.storage', text));
    }
  }
  if (bound && had !== undefined) requests['storage'] = had;
  if (!equalJson(spec, before)) {
    const text =
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
    errors.push(forbidden('spec', text));
  }
  return errors;
}

export const CLAIM_RULES: KindRules = {
  shortNames: ['pvc'],
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    if (spec) setDefault(spec, 'volumeMode', 'Filesystem');
    const status = ensureObject(object, 'status');
    if (status) setDefault(status, 'phase', 'Pending');
  },
  prepareCreate: (object) => {
    object['status'] = { phase: 'Pending' };
  },
  validate: validateClaim,
  validateUpdate: validateClaimUpdate,
};

export const STORAGE_CLASS_RULES: KindRules = {
  shortNames: ['sc'],
  defaults: (object) => {
    setDefault(object, 'reclaimPolicy', 'Delete');
    setDefault(object, 'volumeBindingMode', 'Immediate');
  },
  validate: (object) => {
    const errors: FieldError[] = [];
    const provisioner = stringAt(object, 'provisioner');
    if (provisioner === '') errors.push(required('provisioner'));
    else addTexts(errors, 'provisioner', provisioner, qualifiedName(provisioner.toLowerCase()));
    oneOf(errors, object, 'reclaimPolicy', '', ['Delete', 'Retain']);
    oneOf(errors, object, 'volumeBindingMode', '', ['Immediate', 'WaitForFirstConsumer'], true);
    return errors;
  },
  validateUpdate: (object, old) => {
    const errors: FieldError[] = [];
    for (const name of ['parameters', 'provisioner', 'reclaimPolicy']) {
      if (!equalJson(object[name], old[name]))
        errors.push(forbidden(name, `updates to ${name} are forbidden.`));
    }
    return [
      ...errors,
      ...immutable(object['volumeBindingMode'], old['volumeBindingMode'], 'volumeBindingMode'),
    ];
  },
};
