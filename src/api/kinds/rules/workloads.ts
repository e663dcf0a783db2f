import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { dnsLabel } from '../formats.ts';
import { percentOf } from '../int-or-string.ts';
import {
  cloneJson,
  ensureObject,
  equalJson,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import type { ScalePaths } from '../registry.ts';
import { addTexts, intOrPercent, nonNegative, notAbove100Percent, oneOf } from './checks.ts';
import { validateClaimSpec } from './claim-spec.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';
import { defaultTemplate } from './pod-defaults.ts';
import { validateOwnSelector, validateTemplate } from './template.ts';

export const WORKLOAD_SCALE: ScalePaths = {
  specReplicas: 'spec.replicas',
  statusReplicas: 'status.replicas',
  labelSelector: 'spec.selector',
};

function selectorImmutable(object: UnknownObject, old: UnknownObject): FieldError[] {
  return immutable(objectAt(object, 'spec')['selector'], objectAt(old, 'spec')['selector'], 'spec.selector');
}

function defaultDeployment(object: UnknownObject): void {
  const spec = ensureObject(object, 'spec');
  if (!spec) return;
  spec['replicas'] ??= 1;
  const strategy = ensureObject(spec, 'strategy');
  if (strategy) {
    setDefault(strategy, 'type', 'RollingUpdate');
    const rolling =
      strategy['type'] === 'RollingUpdate' ? ensureObject(strategy, 'rollingUpdate') : undefined;
    if (rolling) {
      rolling['maxUnavailable'] ??= '25%';
      rolling['maxSurge'] ??= '25%';
    }
  }
  spec['revisionHistoryLimit'] ??= 10;
  spec['progressDeadlineSeconds'] ??= 600;
  defaultTemplate(spec);
}

function validateDeployment(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  nonNegative(errors, spec, 'replicas', 'spec');
  validateOwnSelector(errors, spec, 'deployment');
  validateTemplate(errors, spec, 'ReplicaSet');
  validateStrategy(errors, objectAt(spec, 'strategy'));
  for (const name of ['minReadySeconds', 'revisionHistoryLimit', 'progressDeadlineSeconds'])
    nonNegative(errors, spec, name, 'spec');
  const deadline = numberAt(spec, 'progressDeadlineSeconds');
  if (deadline !== undefined && deadline <= (numberAt(spec, 'minReadySeconds') ?? 0)) {
    errors.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  }
  return errors;
}

function validateStrategy(errors: FieldError[], strategy: JsonObject): void {
  const path = 'spec.strategy';
  const known = ['Recreate', 'RollingUpdate'];
  if (!known.includes(stringAt(strategy, 'type')))
    errors.push(notSupported(path, internalStrategy(strategy), known));
  const rolling = strategy['rollingUpdate'];
  if (strategy['type'] === 'Recreate' && isObject(rolling)) {
    errors.push(
      forbidden(`${path}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'"),
    );
  }
  if (strategy['type'] !== 'RollingUpdate') return;
  if (!isObject(rolling)) {
    errors.push(required(`${path}.rollingUpdate`, 'this should be defaulted and never be nil'));
    return;
  }
  for (const name of ['maxUnavailable', 'maxSurge'])
    intOrPercent(errors, rolling[name], `${path}.rollingUpdate.${name}`);
  notAbove100Percent(errors, rolling['maxUnavailable'], `${path}.rollingUpdate.maxUnavailable`);
  if (isZero(rolling['maxUnavailable']) && isZero(rolling['maxSurge'])) {
    errors.push(
      invalid(
        `${path}.rollingUpdate.maxUnavailable`,
        rolling['maxUnavailable'],
        'may not be 0 when `maxSurge` is 0',
      ),
    );
  }
}

/** Upstream prints its internal form of a strategy whose type it does not know. */
export function internalStrategy(strategy: JsonObject): JsonObject {
  return { Type: strategy['type'] ?? '', RollingUpdate: strategy['rollingUpdate'] ?? null };
}

function isZero(value: unknown): boolean {
  return value === 0 || percentOf(value) === 0;
}

export const DEPLOYMENT_RULES: KindRules = {
  shortNames: ['deploy'],
  categories: ['all'],
  generation: true,
  scale: WORKLOAD_SCALE,
  defaults: defaultDeployment,
  validate: validateDeployment,
  validateUpdate: selectorImmutable,
};

function validateReplicaSet(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  nonNegative(errors, spec, 'replicas', 'spec');
  nonNegative(errors, spec, 'minReadySeconds', 'spec');
  validateOwnSelector(errors, spec, 'deployment');
  validateTemplate(errors, spec, 'ReplicaSet');
  return errors;
}

export const REPLICA_SET_RULES: KindRules = {
  shortNames: ['rs'],
  categories: ['all'],
  generation: true,
  scale: WORKLOAD_SCALE,
  selectable: { 'status.replicas': 'status.replicas' },
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    if (!spec) return;
    spec['replicas'] ??= 1;
    defaultTemplate(spec);
  },
  validate: validateReplicaSet,
  validateUpdate: selectorImmutable,
};

function defaultStatefulSet(object: UnknownObject): void {
  const spec = ensureObject(object, 'spec');
  if (!spec) return;
  setDefault(spec, 'podManagementPolicy', 'OrderedReady');
  const strategy = ensureObject(spec, 'updateStrategy');
  if (strategy) {
    setDefault(strategy, 'type', 'RollingUpdate');
    const rolling =
      strategy['type'] === 'RollingUpdate' ? ensureObject(strategy, 'rollingUpdate') : undefined;
    if (rolling) {
      rolling['partition'] ??= 0;
      rolling['maxUnavailable'] ??= 1;
    }
  }
  const retention = ensureObject(spec, 'persistentVolumeClaimRetentionPolicy');
  if (retention) {
    setDefault(retention, 'whenDeleted', 'Retain');
    setDefault(retention, 'whenScaled', 'Retain');
  }
  spec['replicas'] ??= 1;
  spec['revisionHistoryLimit'] ??= 10;
  for (const claim of objectsAt(spec, 'volumeClaimTemplates')) {
    setDefault(claim, 'apiVersion', 'v1');
    setDefault(claim, 'kind', 'PersistentVolumeClaim');
    const claimSpec = ensureObject(claim, 'spec');
    if (claimSpec) setDefault(claimSpec, 'volumeMode', 'Filesystem');
    const status = ensureObject(claim, 'status');
    if (status) setDefault(status, 'phase', 'Pending');
  }
  defaultTemplate(spec);
}

function validateStatefulSet(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  const management = stringAt(spec, 'podManagementPolicy');
  if (management !== 'OrderedReady' && management !== 'Parallel') {
    const text = "must be 'OrderedReady' or 'Parallel'";
    errors.push(invalid('spec.podManagementPolicy', management, text));
  }
  validateStatefulStrategy(errors, objectAt(spec, 'updateStrategy'));
  const retention = objectAt(spec, 'persistentVolumeClaimRetentionPolicy');
  for (const name of ['whenDeleted', 'whenScaled']) {
    oneOf(errors, retention, name, 'spec.persistentVolumeClaimRetentionPolicy', ['Retain', 'Delete']);
  }
  for (const name of ['replicas', 'minReadySeconds']) nonNegative(errors, spec, name, 'spec');
  nonNegative(errors, spec['ordinals'], 'start', 'spec.ordinals');
  validateOwnSelector(errors, spec, 'statefulset');
  const service = stringAt(spec, 'serviceName');
  if (service !== '') addTexts(errors, 'spec.serviceName', service, dnsLabel(service));
  for (const [index, claim] of objectsAt(spec, 'volumeClaimTemplates').entries())
    validateClaimSpec(errors, objectAt(claim, 'spec'), `spec.volumeClaimTemplates[${index}].spec`);
  const withClaims = cloneClaimsAsVolumes(spec);
  validateTemplate(errors, withClaims, 'ReplicaSet');
  return errors;
}

function validateStatefulStrategy(errors: FieldError[], strategy: JsonObject): void {
  const path = 'spec.updateStrategy';
  const rolling = strategy['rollingUpdate'];
  if (strategy['type'] === 'OnDelete') {
    if (!isObject(rolling)) return;
    const { partition = 0, maxUnavailable = null } = rolling;
    const shown = { Partition: partition, MaxUnavailable: maxUnavailable };
    const text = "only allowed for updateStrategy 'RollingUpdate'";
    errors.push(invalid(`${path}.rollingUpdate`, shown, text));
  } else if (strategy['type'] !== 'RollingUpdate') {
    errors.push(invalid(path, internalStrategy(strategy), "must be 'RollingUpdate' or 'OnDelete'"));
  } else if (isObject(rolling)) {
    const at = `${path}.rollingUpdate`;
    nonNegative(errors, rolling, 'partition', at);
    const field = `${at}.maxUnavailable`;
    intOrPercent(errors, rolling['maxUnavailable'], field);
    if (isZero(rolling['maxUnavailable']))
      errors.push(invalid(field, rolling['maxUnavailable'], 'cannot be 0'));
    notAbove100Percent(errors, rolling['maxUnavailable'], field);
  }
}

/** Mounts may name a claim template: for the pod rules it is a volume. */
function cloneClaimsAsVolumes(spec: JsonObject): JsonObject {
  const claims = objectsAt(spec, 'volumeClaimTemplates').map((claim) => stringAt(claim['metadata'], 'name'));
  if (claims.length === 0) return spec;
  const copy = { ...spec, template: cloneJson(objectAt(spec, 'template')) };
  const podSpec = objectAt(copy.template, 'spec');
  const known = new Set(objectsAt(podSpec, 'volumes').map((one) => stringAt(one, 'name')));
  const added = claims.filter((name) => !known.has(name)).map((name) => ({ name, emptyDir: {} }));
  podSpec['volumes'] = [...objectsAt(podSpec, 'volumes'), ...added];
  return copy;
}

const STATEFUL_MUTABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

function validateStatefulUpdate(object: UnknownObject, old: UnknownObject): FieldError[] {
  const fixed = (spec: JsonObject): JsonObject =>
    Object.fromEntries(
      Object.entries(spec).filter(([name]) => !STATEFUL_MUTABLE.includes(name as 'replicas')),
    );
  if (equalJson(fixed(objectAt(object, 'spec')), fixed(objectAt(old, 'spec')))) return [];
  const list = STATEFUL_MUTABLE.map((name) => `'${name}'`);
  const text = `updates to statefulset spec for fields other than ${list.slice(0, -1).join(', ')} and ${list.at(-1)} are forbidden`;
  return [forbidden('spec', text)];
}

export const STATEFUL_SET_RULES: KindRules = {
  shortNames: ['sts'],
  categories: ['all'],
  nameRule: dnsLabel,
  generation: true,
  scale: WORKLOAD_SCALE,
  defaults: defaultStatefulSet,
  validate: validateStatefulSet,
  validateUpdate: validateStatefulUpdate,
};
