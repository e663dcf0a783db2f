import { type FieldError, forbidden, invalid, required } from '../field-error.ts';
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
import { intOrPercent, nonNegative, notAbove100Percent, oneOf } from './checks.ts';
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
  validateTemplate(errors, spec, true);
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
  oneOf(errors, strategy, 'type', path, ['Recreate', 'RollingUpdate'], true);
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
  validateTemplate(errors, spec, true);
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
    if (rolling) rolling['partition'] ??= 0;
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
  oneOf(errors, spec, 'podManagementPolicy', 'spec', ['OrderedReady', 'Parallel'], true);
  const strategy = objectAt(spec, 'updateStrategy');
  oneOf(errors, strategy, 'type', 'spec.updateStrategy', ['OnDelete', 'RollingUpdate'], true);
  nonNegative(errors, strategy['rollingUpdate'], 'partition', 'spec.updateStrategy.rollingUpdate');
  const retention = objectAt(spec, 'persistentVolumeClaimRetentionPolicy');
  for (const name of ['whenDeleted', 'whenScaled']) {
    oneOf(errors, retention, name, 'spec.persistentVolumeClaimRetentionPolicy', ['Delete', 'Retain']);
  }
  for (const name of ['replicas', 'minReadySeconds', 'revisionHistoryLimit'])
    nonNegative(errors, spec, name, 'spec');
  nonNegative(errors, spec['ordinals'], 'start', 'spec.ordinals');
  validateOwnSelector(errors, spec, 'statefulset');
  const withClaims = cloneClaimsAsVolumes(spec);
  validateTemplate(errors, withClaims, true);
  return errors;
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
  generation: true,
  scale: WORKLOAD_SCALE,
  defaults: defaultStatefulSet,
  validate: validateStatefulSet,
  validateUpdate: validateStatefulUpdate,
};
