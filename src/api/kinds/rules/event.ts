import { type FieldError, invalid, required } from '../field-error.ts';
import { dnsSubdomain, qualifiedName } from '../formats.ts';
import { isObject, type JsonObject, numberAt, objectAt, stringAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { addTexts } from './checks.ts';
import type { KindRules } from './kind-rules.ts';

/** Events vanish after an hour. */
const EVENT_TTL_SECONDS = 3600;

/** Namespace of events about cluster-scoped objects. */
const CLUSTER_EVENTS_NAMESPACE = 'default';

/** core/v1 name -> events.k8s.io/v1 name of the same field. */
const NAMES: readonly (readonly [core: string, events: string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

/** One Event, two APIs: renames the fields both ways. Stored as core/v1. */
const convertEvent = {
  toStorage: (object: UnknownObject): UnknownObject => rename(object, 'v1', 1, 0),
  fromStorage: (object: UnknownObject): UnknownObject => rename(object, 'events.k8s.io/v1', 0, 1),
};

function rename(object: UnknownObject, apiVersion: string, from: 0 | 1, to: 0 | 1): UnknownObject {
  const renamed: UnknownObject = { ...object, apiVersion };
  for (const names of NAMES) {
    const value = object[names[from]];
    if (value === undefined) continue;
    delete renamed[names[from]];
    renamed[names[to]] = value;
  }
  return renamed;
}

/** Lengths of the texts of an events.k8s.io Event, in characters; `note` may be absent. */
const TEXT_LIMITS = { reportingInstance: 128, action: 128, reason: 128, note: 1024 };
const OLD_FIELDS = [
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
] as const;

function validate(event: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const about = objectAt(event, isObject(event['regarding']) ? 'regarding' : 'involvedObject');
  const field = isObject(event['regarding']) ? 'regarding.namespace' : 'involvedObject.namespace';
  const namespace = stringAt(event.metadata, 'namespace');
  const wanted = stringAt(about, 'namespace');
  if (event['apiVersion'] === 'events.k8s.io/v1') return validateModern(event);
  const cluster = wanted === '' && (namespace === CLUSTER_EVENTS_NAMESPACE || namespace === 'kube-system');
  if (!cluster && wanted !== namespace) {
    errors.push(invalid(field, wanted, 'does not match event.namespace'));
  }
  return errors;
}

/** events.k8s.io/v1 asks for what core/v1 leaves to the writer. */
function validateModern(event: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  if (event['eventTime'] === undefined || event['eventTime'] === null) errors.push(required('eventTime'));
  const controller = stringAt(event, 'reportingController');
  if (controller === '') errors.push(required('reportingController'));
  addTexts(errors, 'reportingController', controller, qualifiedName(controller));
  for (const [name, limit] of Object.entries(TEXT_LIMITS)) {
    const text = stringAt(event, name);
    const told = name === 'note' ? 'message' : name;
    if (text === '' && name !== 'note') errors.push(required(told));
    else if (text.length > limit) errors.push(invalid(told, '', `can have at most ${limit} characters`));
  }
  const type = stringAt(event, 'type');
  if (type !== 'Normal' && type !== 'Warning') errors.push(invalid('type', '', `has invalid value: ${type}`));
  const series = event['series'];
  if (isObject(series) && (numberAt(series, 'count') ?? 0) < 2)
    errors.push(invalid('series.count', '', 'should be at least 2'));
  for (const [name, told] of OLD_FIELDS) {
    if (event[name] !== undefined && event[name] !== null && event[name] !== 0)
      errors.push(invalid(told, '', 'needs to be unset'));
  }
  return errors;
}

export const EVENT_RULES: KindRules = {
  shortNames: ['ev'],
  nameRule: dnsSubdomain,
  createOnUpdate: true,
  ttlSeconds: EVENT_TTL_SECONDS,
  selectable: Object.fromEntries([
    ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].flatMap((name) => [
      [`involvedObject.${name}`, (event: UnknownObject) => regardingField(event, name)],
      [`regarding.${name}`, (event: UnknownObject) => regardingField(event, name)],
    ]),
    ['reason', 'reason'],
    ['type', 'type'],
    [
      'source',
      (event: UnknownObject) =>
        stringAt(event['source'] ?? event['deprecatedSource'], 'component') || reporter(event),
    ],
    ['reportingComponent', reporter],
    ['reportingController', reporter],
  ]) as NonNullable<KindRules['selectable']>,
  validate,
};

/** events.k8s.io Events are the core ones under another name. */
export const MODERN_EVENT_RULES: KindRules = {
  ...EVENT_RULES,
  stored: { kind: { group: '', version: 'v1', kind: 'Event' }, ...convertEvent },
};

function regardingField(event: UnknownObject, name: string): string {
  return stringAt(event['involvedObject'] ?? event['regarding'], name);
}

function reporter(event: UnknownObject): string {
  return stringAt(event, 'reportingComponent') || stringAt(event, 'reportingController');
}
