import {
  arrayAt,
  isObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  textOf,
  valueAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import type { Printer } from '../registry.ts';
import { AGE, CREATED_AT, integer, NAME, orNone, printer, text, textAt, wide } from './printer.ts';

function size(object: unknown, field: string): number {
  return Object.keys(objectAt(object, field)).length;
}

export const SECRET_PRINTER: Printer = printer([
  NAME,
  text('Type', 'type'),
  integer('Data', (o) => size(o, 'data')),
  AGE,
]);

export const CONFIG_MAP_PRINTER: Printer = printer([
  NAME,
  integer('Data', (o) => size(o, 'data') + size(o, 'binaryData')),
  AGE,
]);

export const SERVICE_ACCOUNT_PRINTER: Printer = printer([
  NAME,
  integer('Secrets', (o) => arrayAt(o, 'secrets').length),
  AGE,
]);

function quotaText(object: UnknownObject, limits: boolean): string {
  const hard = objectAt(object['status'], 'hard');
  const used = objectAt(object['status'], 'used');
  const wanted = Object.keys(hard).filter((name) => name.startsWith('limits.') === limits);
  return wanted
    .sort()
    .map((name) => `${name}: ${stringAt(used, name) || '0'}/${stringAt(hard, name)}`)
    .join(', ');
}

export const QUOTA_PRINTER: Printer = printer([
  NAME,
  text('Request', (o) => quotaText(o, false)),
  text('Limit', (o) => quotaText(o, true)),
  AGE,
]);

export const LIMIT_RANGE_PRINTER: Printer = printer([NAME, CREATED_AT]);

const ACCESS_MODES: readonly (readonly [string, string])[] = [
  ['ReadWriteOnce', 'RWO'],
  ['ReadOnlyMany', 'ROX'],
  ['ReadWriteMany', 'RWX'],
  ['ReadWriteOncePod', 'RWOP'],
];

function accessModes(modes: readonly unknown[]): string {
  return ACCESS_MODES.filter(([mode]) => modes.includes(mode))
    .map(([, short]) => short)
    .join(',');
}

function claimText(volume: UnknownObject): string {
  const claim = valueAt(volume, 'spec.claimRef');
  return isObject(claim) ? `${stringAt(claim, 'namespace')}/${stringAt(claim, 'name')}` : '';
}

function volumePhase(object: UnknownObject): string {
  return object.metadata?.deletionTimestamp === undefined ? textAt(object, 'status.phase') : 'Terminating';
}

export const PERSISTENT_VOLUME_PRINTER: Printer = printer([
  NAME,
  text('Capacity', 'spec.capacity.storage'),
  text('Access Modes', (o) => accessModes(arrayAt(o['spec'], 'accessModes'))),
  text('Reclaim Policy', 'spec.persistentVolumeReclaimPolicy'),
  text('Status', volumePhase),
  text('Claim', claimText),
  text('StorageClass', 'spec.storageClassName'),
  text('VolumeAttributesClass', (o) => orNone(textAt(o, 'spec.volumeAttributesClassName'), '<unset>')),
  text('Reason', 'status.reason'),
  AGE,
  wide(text('VolumeMode', (o) => orNone(textAt(o, 'spec.volumeMode'), '<unset>'))),
]);

export const CLAIM_PRINTER: Printer = printer([
  NAME,
  text('Status', volumePhase),
  text('Volume', 'spec.volumeName'),
  text('Capacity', (o) => (textAt(o, 'spec.volumeName') === '' ? '' : textAt(o, 'status.capacity.storage'))),
  text('Access Modes', (o) =>
    textAt(o, 'spec.volumeName') === '' ? '' : accessModes(arrayAt(o['status'], 'accessModes')),
  ),
  text('StorageClass', 'spec.storageClassName'),
  text('VolumeAttributesClass', (o) => orNone(textAt(o, 'spec.volumeAttributesClassName'), '<unset>')),
  AGE,
  wide(text('VolumeMode', (o) => orNone(textAt(o, 'spec.volumeMode'), '<unset>'))),
]);

const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';

export const STORAGE_CLASS_PRINTER: Printer = printer([
  {
    ...NAME,
    cell: (o) => {
      const isDefault = stringAt(objectAt(o.metadata, 'annotations'), DEFAULT_CLASS) === 'true';
      return `${o.metadata?.name ?? ''}${isDefault ? ' (default)' : ''}`;
    },
  },
  text('Provisioner', 'provisioner'),
  text('ReclaimPolicy', (o) => textAt(o, 'reclaimPolicy') || 'Delete'),
  text('VolumeBindingMode', (o) => textAt(o, 'volumeBindingMode') || 'Immediate'),
  { ...text('AllowVolumeExpansion', ''), cell: (o) => String(o['allowVolumeExpansion'] === true) },
  AGE,
]);

export const ROLE_PRINTER: Printer = printer([NAME, CREATED_AT]);

function subjects(object: UnknownObject, kind: string): string {
  return objectsAt(object, 'subjects')
    .filter((one) => one['kind'] === kind)
    .map((one) => {
      const namespace = kind === 'ServiceAccount' ? stringAt(one, 'namespace') : '';
      return `${namespace ? `${namespace}/` : ''}${stringAt(one, 'name')}`;
    })
    .join(', ');
}

export const ROLE_BINDING_PRINTER: Printer = printer([
  NAME,
  text('Role', (o) => `${textAt(o, 'roleRef.kind')}/${textAt(o, 'roleRef.name')}`),
  AGE,
  wide(text('Users', (o) => subjects(o, 'User'))),
  wide(text('Groups', (o) => subjects(o, 'Group'))),
  wide(text('ServiceAccounts', (o) => subjects(o, 'ServiceAccount'))),
]);

function intOrStringText(object: UnknownObject, path: string): string {
  const value = valueAt(object, path);
  return value === undefined || value === null ? 'N/A' : textOf(value);
}

export const DISRUPTION_BUDGET_PRINTER: Printer = printer([
  NAME,
  text('Min Available', (o) => intOrStringText(o, 'spec.minAvailable')),
  text('Max Unavailable', (o) => intOrStringText(o, 'spec.maxUnavailable')),
  integer('Allowed Disruptions', 'status.disruptionsAllowed'),
  AGE,
]);

/** Metrics shown before `+ N more...`. */
const METRICS_SHOWN = 2;

function metricSource(metric: unknown): unknown {
  const type = stringAt(metric, 'type');
  return objectAt(metric, type.charAt(0).toLowerCase() + type.slice(1));
}

function metricText(metric: unknown, current: unknown): string {
  const type = stringAt(metric, 'type');
  const source = metricSource(metric);
  const target = objectAt(source, 'target');
  const now = objectAt(metricSource(current), 'current');
  const prefix = type === 'Resource' || type === 'ContainerResource' ? `${stringAt(source, 'name')}: ` : '';
  const utilization = numberAt(target, 'averageUtilization');
  if (utilization !== undefined) {
    const known = numberAt(now, 'averageUtilization');
    return `${prefix}${known === undefined ? '<unknown>' : `${known}%`}/${utilization}%`;
  }
  const average = stringAt(target, 'averageValue');
  const averageNow = stringAt(now, 'averageValue') || '<unknown>';
  if (average !== '')
    return `${prefix}${averageNow}/${average}${type === 'External' || type === 'Object' ? ' (avg)' : ''}`;
  return `${prefix}${stringAt(now, 'value') || '<unknown>'}/${stringAt(target, 'value')}`;
}

function targetsText(object: UnknownObject): string {
  const metrics = objectsAt(object['spec'], 'metrics');
  if (metrics.length === 0) return '<none>';
  const current = objectsAt(object['status'], 'currentMetrics');
  const texts = metrics.map((metric, index) => metricText(metric, current[index]));
  const rest = texts.length - METRICS_SHOWN;
  const list = texts.slice(0, METRICS_SHOWN).join(', ');
  return rest > 0 ? `${list} + ${rest} more...` : list;
}

export const AUTOSCALER_PRINTER: Printer = printer([
  NAME,
  text(
    'Reference',
    (o) => `${textAt(o, 'spec.scaleTargetRef.kind')}/${textAt(o, 'spec.scaleTargetRef.name')}`,
  ),
  text('Targets', targetsText),
  text('MinPods', (o) => orNone(textAt(o, 'spec.minReplicas'), '<unset>')),
  integer('MaxPods', 'spec.maxReplicas'),
  integer('Replicas', 'status.currentReplicas'),
  AGE,
]);
