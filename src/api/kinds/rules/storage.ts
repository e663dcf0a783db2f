import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { qualifiedName } from '../formats.ts';
import {
  arrayAt,
  cloneJson,
  ensureObject,
  equalJson,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { compareQuantities } from '../quantity.ts';
import { addTexts, oneOf } from './checks.ts';
import {
  validateAccessModes,
  validateClaimSpec,
  validateClassName,
  validatePositive,
  VOLUME_MODES,
} from './claim-spec.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';
import { validateNodeSelector } from './pod/affinity.ts';
import { validateNoBacksteps } from './pod/paths.ts';
import { validateDriverName } from './pod/volumes.ts';

/** Fields of a PersistentVolumeSpec that are not its source. */
const VOLUME_FIELDS = new Set(['capacity', 'claimRef', 'nodeAffinity']);

function validateVolume(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  if (arrayAt(spec, 'accessModes').length === 0) errors.push(required('spec.accessModes'));
  validateAccessModes(errors, spec, 'spec');
  const capacity = objectAt(spec, 'capacity');
  const names = Object.keys(capacity);
  if (names.length === 0) errors.push(required('spec.capacity'));
  if (!('storage' in capacity) || names.length > 1) {
    const sorted = Object.fromEntries(names.toSorted().map((name) => [name, capacity[name]]));
    errors.push(notSupported('spec.capacity', names.length === 0 ? null : sorted, ['storage']));
  }
  validatePositive(errors, capacity['storage'], 'spec.capacity[storage]');
  oneOf(errors, spec, 'persistentVolumeReclaimPolicy', 'spec', ['Delete', 'Recycle', 'Retain']);
  validateVolumeAffinity(errors, spec);
  const sources = Object.keys(spec).filter((name) => isObject(spec[name]) && !VOLUME_FIELDS.has(name));
  if (sources.length === 0) errors.push(required('spec', 'must specify a volume type'));
  validateVolumeSource(errors, spec);
  for (const extra of sources.slice(1))
    errors.push(forbidden(`spec.${extra}`, 'may not specify more than 1 volume type'));
  validateClassName(errors, spec, 'spec');
  oneOf(errors, spec, 'volumeMode', 'spec', VOLUME_MODES);
  return errors;
}

function validateVolumeAffinity(errors: FieldError[], spec: JsonObject): void {
  const affinity = spec['nodeAffinity'];
  const field = 'spec.nodeAffinity';
  if (!isObject(affinity)) {
    if (isObject(spec['local'])) errors.push(required(field, 'Local volume requires node affinity'));
  } else if (!isObject(affinity['required'])) {
    errors.push(required(`${field}.required`, 'must specify required node constraints'));
  } else validateNodeSelector(errors, affinity['required'], `${field}.required`);
}

function validateVolumeSource(errors: FieldError[], spec: JsonObject): void {
  for (const kind of ['hostPath', 'local']) {
    if (!isObject(spec[kind])) continue;
    const path = stringAt(spec[kind], 'path');
    if (path === '') errors.push(required(`spec.${kind}.path`));
    else validateNoBacksteps(errors, path, `spec.${kind}.path`);
    const root = kind === 'hostPath' && /^\/+$/.test(path);
    if (root && spec['persistentVolumeReclaimPolicy'] === 'Recycle') {
      const text = "may not be 'recycle' for a hostPath mount of '/'";
      errors.push(forbidden('spec.persistentVolumeReclaimPolicy', text));
    }
  }
  if (isObject(spec['csi'])) {
    validateDriverName(errors, stringAt(spec['csi'], 'driver'), 'spec.csi.driver');
    if (stringAt(spec['csi'], 'volumeHandle') === '') errors.push(required('spec.csi.volumeHandle'));
  }
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
  validateClaimSpec(errors, objectAt(object, 'spec'), 'spec');
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
    // Only claims of the core group and kinds of named groups can fill a volume; other sources are dropped.
    const spec = objectAt(object, 'spec');
    const source = spec['dataSource'];
    if (!isObject(source) || stringAt(source, 'apiGroup') !== '') return;
    if (stringAt(source, 'kind') !== 'PersistentVolumeClaim') delete spec['dataSource'];
  },
  validate: validateClaim,
  validateUpdate: validateClaimUpdate,
};

function validateTopologies(errors: FieldError[], object: UnknownObject): void {
  for (const [index, term] of objectsAt(object, 'allowedTopologies').entries()) {
    const keys = new Set<string>();
    for (const [at, one] of objectsAt(term, 'matchLabelExpressions').entries()) {
      const path = `allowedTopologies[${index}].matchLabelExpressions[${at}]`;
      const values = arrayAt(one, 'values');
      if (values.length === 0) errors.push(required(`${path}.values`));
      for (const [position, value] of values.entries()) {
        if (values.indexOf(value) < position) errors.push(duplicate(`${path}.values[${position}]`, value));
      }
      const key = stringAt(one, 'key');
      addTexts(errors, `${path}.key`, key, qualifiedName(key));
      if (keys.has(key)) errors.push(duplicate(`${path}.key`, key));
      keys.add(key);
    }
  }
}

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
    else {
      const judged = provisioner.toLowerCase();
      addTexts(errors, 'provisioner', judged, qualifiedName(judged));
    }
    if (Object.hasOwn(objectAt(object, 'parameters'), ''))
      errors.push(invalid('parameters', '', 'field can not be empty.'));
    oneOf(errors, object, 'reclaimPolicy', '', ['Delete', 'Retain']);
    oneOf(errors, object, 'volumeBindingMode', '', ['Immediate', 'WaitForFirstConsumer'], true);
    validateTopologies(errors, object);
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
