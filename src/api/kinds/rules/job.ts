import { duplicate, type FieldError, invalid, notSupported, required } from '../field-error.ts';
import {
  type JsonObject,
  arrayAt,
  cloneJson,
  ensureObject,
  equalJson,
  isObject,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
  textOf,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { nonNegative, oneOf, validateSelector } from './checks.ts';
import { cronProblem, isTimeZone } from './cron.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';
import { defaultTemplate } from './pod-defaults.ts';
import { validateOwnLabels, validateTemplate } from './template.ts';

const UID_LABEL = 'batch.kubernetes.io/controller-uid';
const NAME_LABEL = 'batch.kubernetes.io/job-name';
const OLD_UID_LABEL = 'controller-uid';
const OLD_NAME_LABEL = 'job-name';
const MAX_BACKOFF = 0x7fff_ffff;
/** Indexed jobs keep one status per index. */
const MAX_INDEXED = 100_000;

function defaultJobSpec(spec: JsonObject): void {
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1;
  spec['parallelism'] ??= 1;
  spec['backoffLimit'] ??= spec['backoffLimitPerIndex'] === undefined ? 6 : MAX_BACKOFF;
  setDefault(spec, 'completionMode', 'NonIndexed');
  spec['suspend'] ??= false;
  if (spec['podReplacementPolicy'] === undefined) {
    spec['podReplacementPolicy'] = isObject(spec['podFailurePolicy']) ? 'Failed' : 'TerminatingOrFailed';
  }
  spec['manualSelector'] ??= false;
  for (const rule of objectsAt(spec['podFailurePolicy'], 'rules')) {
    for (const condition of objectsAt(rule, 'onPodConditions')) setDefault(condition, 'status', 'True');
  }
}

/** Without manualSelector the job's uid selects its pods. Needs metadata.uid. */
function generateSelector(object: UnknownObject): void {
  const spec = objectAt(object, 'spec');
  if (spec['manualSelector'] === true || !isObject(spec['template'])) return;
  const uid = object.metadata.uid;
  if (!uid) return;
  const metadata = ensureObject(spec['template'], 'metadata');
  const labels = metadata && ensureObject(metadata, 'labels');
  if (!labels) return;
  const { name } = object.metadata;
  for (const label of [UID_LABEL, OLD_UID_LABEL]) labels[label] ??= uid;
  for (const label of [NAME_LABEL, OLD_NAME_LABEL]) labels[label] ??= name;
  const selector = ensureObject(spec, 'selector');
  const matchLabels = selector && ensureObject(selector, 'matchLabels');
  if (matchLabels) matchLabels[UID_LABEL] ??= uid;
  object.metadata.labels ??= { ...(labels as Record<string, string>) };
}

function validateJobSpec(errors: FieldError[], spec: JsonObject, path: string): void {
  const numbers = [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
  ];
  for (const name of [...numbers, 'backoffLimitPerIndex', 'maxFailedIndexes'])
    nonNegative(errors, spec, name, path);
  oneOf(errors, spec, 'completionMode', path, ['NonIndexed', 'Indexed']);
  const replacement = ['Failed', 'TerminatingOrFailed'];
  const failing = isObject(spec['podFailurePolicy']);
  oneOf(errors, spec, 'podReplacementPolicy', path, failing ? ['Failed'] : replacement);
  if (spec['maxFailedIndexes'] !== undefined && spec['backoffLimitPerIndex'] === undefined)
    errors.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  const manager = spec['managedBy'];
  if (typeof manager === 'string' && !/^[^/]+\/.+$/.test(manager)) {
    const text = 'must be a domain-prefixed path (such as "acme.io/foo")';
    errors.push(invalid(`${path}.managedBy`, manager, text));
  }
  if (spec['completionMode'] === 'Indexed') {
    const completions = numberAt(spec, 'completions');
    if (completions === undefined)
      errors.push(required(`${path}.completions`, 'when completion mode is Indexed'));
    const parallelism = numberAt(spec, 'parallelism') ?? 0;
    if (parallelism > MAX_INDEXED) {
      errors.push(
        invalid(
          `${path}.parallelism`,
          parallelism,
          `must be less than or equal to ${MAX_INDEXED} when completion mode is Indexed`,
        ),
      );
    }
    if (spec['backoffLimitPerIndex'] !== undefined) validateManyIndexes(errors, spec, path);
  } else if (spec['backoffLimitPerIndex'] !== undefined) {
    errors.push(
      invalid(
        `${path}.backoffLimitPerIndex`,
        spec['backoffLimitPerIndex'],
        'requires indexed completion mode',
      ),
    );
  }
  validateFailurePolicy(errors, spec, path);
  validateSuccessPolicy(errors, spec, path);
}

/** Pods of a job end: Always is nothing for them. */
function validateJobRestart(errors: FieldError[], spec: JsonObject, path: string): void {
  const policy = stringAt(objectAt(objectAt(spec, 'template'), 'spec'), 'restartPolicy');
  if (policy === 'Always') {
    errors.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  } else if (policy !== 'OnFailure' && policy !== 'Never') {
    errors.push(notSupported(`${path}.template.spec.restartPolicy`, policy, ['OnFailure', 'Never']));
  }
}

/** Above these completions, what is kept of each failed index must stay small. */
const MANY_COMPLETIONS = 100_000;
const MANY_COMPLETIONS_MAX = 10_000;

function validateManyIndexes(errors: FieldError[], spec: JsonObject, path: string): void {
  if ((numberAt(spec, 'completions') ?? 0) <= MANY_COMPLETIONS) return;
  if (spec['maxFailedIndexes'] === undefined) {
    const text = `must be specified when completions is above ${MANY_COMPLETIONS}`;
    errors.push(required(`${path}.maxFailedIndexes`, text));
  }
  for (const name of ['parallelism', 'maxFailedIndexes']) {
    const value = numberAt(spec, name) ?? 0;
    const text = `must be less than or equal to ${MANY_COMPLETIONS_MAX} when completions are above ${MANY_COMPLETIONS} and used with backoff limit per index`;
    if (value > MANY_COMPLETIONS_MAX) errors.push(invalid(`${path}.${name}`, value, text));
  }
}

function validateFailurePolicy(errors: FieldError[], spec: JsonObject, path: string): void {
  const pod = objectAt(objectAt(spec, 'template'), 'spec');
  const names = [...objectsAt(pod, 'containers'), ...objectsAt(pod, 'initContainers')].map((one) =>
    stringAt(one, 'name'),
  );
  for (const [index, rule] of objectsAt(spec['podFailurePolicy'], 'rules').entries()) {
    const at = `${path}.podFailurePolicy.rules[${index}]`;
    oneOf(errors, rule, 'action', at, ['Count', 'FailIndex', 'FailJob', 'Ignore'], true);
    if (rule['action'] === 'FailIndex' && spec['backoffLimitPerIndex'] === undefined) {
      const text = 'requires the backoffLimitPerIndex to be set';
      errors.push(invalid(`${at}.action`, 'FailIndex', text));
    }
    const codes = rule['onExitCodes'];
    if (isObject(codes)) validateExitCodes(errors, codes, `${at}.onExitCodes`, names);
    const conditions = objectsAt(rule, 'onPodConditions').length > 0;
    const both = isObject(codes) && conditions;
    if (!both && (isObject(codes) || conditions)) continue;
    const text = both
      ? 'specifying both OnExitCodes and OnPodConditions is not supported'
      : 'specifying one of OnExitCodes and OnPodConditions is required';
    // Upstream leaves the rule itself out of the message.
    errors.push({ reason: 'FieldValueInvalid', field: at, message: `Invalid value: ${text}` });
  }
}

function validateExitCodes(
  errors: FieldError[],
  codes: JsonObject,
  at: string,
  names: readonly string[],
): void {
  const name = stringAt(codes, 'containerName');
  if (name !== '' && !names.includes(name)) {
    const text = 'must be one of the container or initContainer names in the pod template';
    errors.push(invalid(`${at}.containerName`, name, text));
  }
  oneOf(errors, codes, 'operator', at, ['In', 'NotIn'], true);
  const values = arrayAt(codes, 'values');
  if (values.length === 0) errors.push(invalid(`${at}.values`, values, 'at least one value is required'));
  for (const [index, value] of values.entries()) {
    const field = `${at}.values[${index}]`;
    if (values.indexOf(value) < index) errors.push(duplicate(field, value));
    if (codes['operator'] === 'In' && value === 0)
      errors.push(invalid(field, value, 'must not be 0 for the In operator'));
  }
}

function validateSuccessPolicy(errors: FieldError[], spec: JsonObject, path: string): void {
  const policy = spec['successPolicy'];
  if (!isObject(policy)) return;
  const at = `${path}.successPolicy`;
  const rules = objectsAt(policy, 'rules');
  if (spec['completionMode'] !== 'Indexed') {
    const shown = rules.map((rule) => ({
      SucceededIndexes: rule['succeededIndexes'] ?? null,
      SucceededCount: rule['succeededCount'] ?? null,
    }));
    errors.push(invalid(at, { Rules: shown }, 'requires indexed completion mode'));
    return;
  }
  if (rules.length === 0) {
    const text = 'at least one rules must be specified when the successPolicy is specified';
    errors.push(required(`${at}.rules`, text));
  }
  for (const [index, rule] of rules.entries()) {
    const field = `${at}.rules[${index}]`;
    const indexes = rule['succeededIndexes'];
    if (indexes === undefined && rule['succeededCount'] === undefined) {
      const text = 'at least one of succeededCount or succeededIndexes must be specified';
      errors.push(required(field, text));
    }
    const wrong = indexProblem(textOf(indexes), numberAt(spec, 'completions') ?? 0);
    if (wrong !== undefined) {
      const text = `error parsing succeededIndexes: ${wrong}`;
      errors.push(invalid(`${field}.succeededIndexes`, indexes, text));
    }
  }
}

/** What is wrong with a list like `0,2-4` of a job of so many completions. */
function indexProblem(text: string, completions: number): string | undefined {
  for (const range of text === '' ? [] : text.split(',')) {
    for (const part of range.split('-')) {
      if (!/^\d+$/.test(part)) return `cannot convert string to integer for index: ${JSON.stringify(part)}`;
      if (Number(part) >= completions) return `too large index: ${JSON.stringify(part)}`;
    }
  }
  return undefined;
}

function validateJob(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  validateJobSpec(errors, spec, 'spec');
  if (isObject(spec['selector'])) validateSelector(errors, spec['selector'], 'spec.selector');
  else if (spec['manualSelector'] === true) errors.push(required('spec.selector'));
  validateGenerated(errors, object, spec);
  if (isObject(spec['selector']) || spec['manualSelector'] === true) validateOwnLabels(errors, spec);
  validateTemplate(errors, spec);
  validateJobRestart(errors, spec, 'spec');
  return errors;
}

/** A selector the server makes has nothing in it but the job's uid. */
function validateGenerated(errors: FieldError[], object: UnknownObject, spec: JsonObject): void {
  const uid = object.metadata?.uid;
  if (spec['manualSelector'] === true || uid === undefined || !isObject(spec['selector'])) return;
  const wanted = [{ [UID_LABEL]: uid }, { [OLD_UID_LABEL]: uid }];
  if (wanted.some((labels) => equalJson({ matchLabels: labels }, spec['selector']))) return;
  errors.push(invalid('spec.selector', spec['selector'], '`selector` not auto-generated'));
}

/** A suspended job that never ran may still be steered to nodes and queues. */
function templateOf(spec: JsonObject, suspended: boolean): unknown {
  const template = cloneJson(spec['template']);
  if (!suspended || !isObject(template)) return template;
  for (const field of ['nodeSelector', 'tolerations', 'affinity', 'schedulingGates'])
    delete objectAt(template, 'spec')[field];
  for (const field of ['labels', 'annotations']) delete objectAt(template, 'metadata')[field];
  return template;
}

function validateJobUpdate(object: UnknownObject, old: UnknownObject): FieldError[] {
  const [spec, before] = [objectAt(object, 'spec'), objectAt(old, 'spec')];
  const errors: FieldError[] = [];
  const indexed = spec['completionMode'] === 'Indexed' && spec['completions'] === spec['parallelism'];
  if (!indexed) errors.push(...immutable(spec['completions'], before['completions'], 'spec.completions'));
  errors.push(...immutable(spec['selector'], before['selector'], 'spec.selector'));
  const suspended = before['suspend'] === true && objectAt(old, 'status')['startTime'] === undefined;
  if (!equalJson(templateOf(spec, suspended), templateOf(before, suspended))) {
    errors.push(invalid('spec.template', spec['template'], 'field is immutable'));
  }
  for (const name of [
    'completionMode',
    'podFailurePolicy',
    'backoffLimitPerIndex',
    'managedBy',
    'successPolicy',
  ]) {
    errors.push(...immutable(spec[name], before[name], `spec.${name}`));
  }
  return errors;
}

export const JOB_RULES: KindRules = {
  categories: ['all'],
  generation: true,
  selectable: {
    'status.successful': (job) => String(numberAt(job['status'], 'succeeded') ?? 0),
    'status.active': (job) => String(numberAt(job['status'], 'active') ?? 0),
  },
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    if (!spec) return;
    defaultJobSpec(spec);
    defaultTemplate(spec);
  },
  prepareCreate: generateSelector,
  validate: validateJob,
  validateUpdate: validateJobUpdate,
};

function validateCronJob(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  const schedule = stringAt(spec, 'schedule');
  if (schedule === '') errors.push(required('spec.schedule'));
  else if (/TZ=/.test(schedule)) {
    errors.push(
      invalid('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'),
    );
  } else {
    const problem = cronProblem(schedule);
    if (problem) errors.push(invalid('spec.schedule', schedule, problem));
  }
  const zone = spec['timeZone'];
  const explicit = 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
  if (zone === '') errors.push(invalid('spec.timeZone', zone, 'timeZone must be nil or non-empty string'));
  else if (typeof zone === 'string' && /^local$/i.test(zone))
    errors.push(invalid('spec.timeZone', zone, explicit));
  else if (typeof zone === 'string' && !isTimeZone(zone)) {
    errors.push(invalid('spec.timeZone', zone, `unknown time zone ${zone}`));
  }
  oneOf(errors, spec, 'concurrencyPolicy', 'spec', ['Allow', 'Forbid', 'Replace'], true);
  for (const name of ['startingDeadlineSeconds', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit']) {
    nonNegative(errors, spec, name, 'spec');
  }
  const jobSpec = objectAt(objectAt(spec, 'jobTemplate'), 'spec');
  validateJobSpec(errors, jobSpec, 'spec.jobTemplate.spec');
  const nested: FieldError[] = [];
  validateTemplate(nested, jobSpec);
  for (const error of nested)
    errors.push({
      ...error,
      field: error.field.replace(/^spec\.template/, 'spec.jobTemplate.spec.template'),
    });
  validateJobRestart(errors, jobSpec, 'spec.jobTemplate.spec');
  if (jobSpec['manualSelector'] === true) {
    errors.push(notSupported('spec.jobTemplate.spec.manualSelector', true, ['nil', 'false']));
  }
  const name = object.metadata?.name ?? '';
  // The job's name is this one with a dash and ten digits.
  if (name.length > 52) errors.push(invalid('metadata.name', name, 'must be no more than 52 characters'));
  return errors;
}

export const CRON_JOB_RULES: KindRules = {
  shortNames: ['cj'],
  categories: ['all'],
  generation: true,
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    if (!spec) return;
    setDefault(spec, 'concurrencyPolicy', 'Allow');
    spec['suspend'] ??= false;
    spec['successfulJobsHistoryLimit'] ??= 3;
    spec['failedJobsHistoryLimit'] ??= 1;
    defaultTemplate(objectAt(spec, 'jobTemplate')['spec']);
  },
  validate: validateCronJob,
};
