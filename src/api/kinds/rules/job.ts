import { type FieldError, invalid, notSupported, required } from '../field-error.ts';
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
import { nonNegative, oneOf, validateSelector } from './checks.ts';
import { cronProblem, isTimeZone } from './cron.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';
import { defaultTemplate } from './pod-defaults.ts';
import { validateTemplate } from './template.ts';

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
  oneOf(errors, spec, 'completionMode', path, ['Indexed', 'NonIndexed']);
  oneOf(errors, spec, 'podReplacementPolicy', path, ['Failed', 'TerminatingOrFailed']);
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
  const policy = stringAt(objectAt(objectAt(spec, 'template'), 'spec'), 'restartPolicy');
  if (policy === 'Always') {
    errors.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  } else if (policy !== 'OnFailure' && policy !== 'Never') {
    errors.push(notSupported(`${path}.template.spec.restartPolicy`, policy, ['OnFailure', 'Never']));
  }
}

function validateFailurePolicy(errors: FieldError[], spec: JsonObject, path: string): void {
  for (const [index, rule] of objectsAt(spec['podFailurePolicy'], 'rules').entries()) {
    const at = `${path}.podFailurePolicy.rules[${index}]`;
    oneOf(errors, rule, 'action', at, ['Count', 'FailIndex', 'FailJob', 'Ignore'], true);
    const codes = isObject(rule['onExitCodes']);
    const conditions = objectsAt(rule, 'onPodConditions').length > 0;
    if (codes && conditions)
      errors.push(invalid(at, rule, 'specifying both OnExitCodes and OnPodConditions is not supported'));
    if (!codes && !conditions)
      errors.push(invalid(at, rule, 'specifying one of OnExitCodes and OnPodConditions is required'));
  }
}

function validateJob(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  validateJobSpec(errors, spec, 'spec');
  validateTemplate(errors, spec, false);
  if (isObject(spec['selector'])) validateSelector(errors, spec['selector'], 'spec.selector');
  else if (spec['manualSelector'] === true) errors.push(required('spec.selector'));
  return errors;
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
  if (zone === '') errors.push(invalid('spec.timeZone', zone, 'timeZone must be nil or non-empty string'));
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
  validateTemplate(nested, jobSpec, false);
  for (const error of nested)
    errors.push({
      ...error,
      field: error.field.replace(/^spec\.template/, 'spec.jobTemplate.spec.template'),
    });
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
