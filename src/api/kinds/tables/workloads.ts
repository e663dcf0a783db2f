import { timeMs } from '../decode/time.ts';
import { arrayAt, numberAt, objectAt, objectsAt, stringAt, valueAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import type { Printer } from '../registry.ts';
import { humanDuration } from './duration.ts';
import {
  AGE,
  ageOf,
  boolean,
  CONTAINERS,
  IMAGES,
  integer,
  labelText,
  NAME,
  printer,
  selectorText,
  text,
  textAt,
  wide,
} from './printer.ts';

const SELECTOR = wide(text('Selector', (o) => selectorText(valueAt(o, 'spec.selector'))));

function of(object: UnknownObject, have: string, want: string): string {
  return `${numberAt(object['status'], have) ?? 0}/${numberAt(object['spec'], want) ?? 0}`;
}

export const DEPLOYMENT_PRINTER: Printer = printer([
  NAME,
  text('Ready', (o) => of(o, 'readyReplicas', 'replicas')),
  integer('Up-to-date', 'status.updatedReplicas'),
  integer('Available', 'status.availableReplicas'),
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
]);

export const REPLICA_SET_PRINTER: Printer = printer([
  NAME,
  integer('Desired', 'spec.replicas'),
  integer('Current', 'status.replicas'),
  integer('Ready', 'status.readyReplicas'),
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
]);

export const REPLICATION_CONTROLLER_PRINTER: Printer = printer([
  NAME,
  integer('Desired', 'spec.replicas'),
  integer('Current', 'status.replicas'),
  integer('Ready', 'status.readyReplicas'),
  AGE,
  CONTAINERS,
  IMAGES,
  wide(text('Selector', (o) => labelText(valueAt(o, 'spec.selector')))),
]);

export const STATEFUL_SET_PRINTER: Printer = printer([
  NAME,
  text('Ready', (o) => of(o, 'readyReplicas', 'replicas')),
  AGE,
  CONTAINERS,
  IMAGES,
]);

export const DAEMON_SET_PRINTER: Printer = printer([
  NAME,
  integer('Desired', 'status.desiredNumberScheduled'),
  integer('Current', 'status.currentNumberScheduled'),
  integer('Ready', 'status.numberReady'),
  integer('Up-to-date', 'status.updatedNumberScheduled'),
  integer('Available', 'status.numberAvailable'),
  text('Node Selector', (o) => labelText(valueAt(o, 'spec.template.spec.nodeSelector'))),
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
]);

function jobStatus(job: UnknownObject): string {
  const conditions = objectsAt(job['status'], 'conditions');
  const holds = (type: string): boolean =>
    conditions.some((one) => one['type'] === type && one['status'] === 'True');
  if (holds('Complete')) return 'Complete';
  if (holds('Failed')) return 'Failed';
  if (job.metadata?.deletionTimestamp !== undefined) return 'Terminating';
  if (holds('Suspended')) return 'Suspended';
  if (holds('FailureTarget')) return 'FailureTarget';
  return holds('SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running';
}

function jobCompletions(job: UnknownObject): string {
  const spec = objectAt(job, 'spec');
  const succeeded = numberAt(job['status'], 'succeeded') ?? 0;
  const completions = numberAt(spec, 'completions');
  if (completions !== undefined) return `${succeeded}/${completions}`;
  const parallelism = numberAt(spec, 'parallelism') ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration(job: UnknownObject, nowMs: number): string {
  const start = timeMs(valueAt(job, 'status.startTime'));
  if (start === undefined) return '';
  return humanDuration((timeMs(valueAt(job, 'status.completionTime')) ?? nowMs) - start);
}

export const JOB_PRINTER: Printer = printer([
  NAME,
  text('Status', jobStatus),
  text('Completions', jobCompletions),
  text('Duration', jobDuration),
  AGE,
  CONTAINERS,
  IMAGES,
  SELECTOR,
]);

function cronJobContainers(object: UnknownObject, field: string): string {
  const containers = valueAt(object, 'spec.jobTemplate.spec.template.spec.containers');
  return Array.isArray(containers)
    ? (containers as unknown[]).map((one) => stringAt(one, field)).join(',')
    : '';
}

export const CRON_JOB_PRINTER: Printer = printer([
  NAME,
  text('Schedule', 'spec.schedule'),
  text('Timezone', (o) => textAt(o, 'spec.timeZone') || '<none>'),
  // A boolean column whose cells are text: `True`, as upstream prints it.
  {
    ...boolean('Suspend', 'spec.suspend'),
    cell: (o) => (valueAt(o, 'spec.suspend') === true ? 'True' : 'False'),
  },
  integer('Active', (o) => arrayAt(o['status'], 'active').length),
  text('Last Schedule', (o, nowMs) => {
    const last = valueAt(o, 'status.lastScheduleTime');
    return last === undefined ? '<none>' : ageOf(last, nowMs);
  }),
  AGE,
  wide(text('Containers', (o) => cronJobContainers(o, 'name'))),
  wide(text('Images', (o) => cronJobContainers(o, 'image'))),
  wide(text('Selector', (o) => selectorText(valueAt(o, 'spec.jobTemplate.spec.selector')))),
]);

function controllerOf(object: UnknownObject): string {
  const owner = objectsAt(object.metadata, 'ownerReferences').find((one) => one['controller'] === true);
  if (!owner) return '<none>';
  const version = stringAt(owner, 'apiVersion');
  const group = version.includes('/') ? `.${version.slice(0, version.indexOf('/'))}` : '';
  return `${stringAt(owner, 'kind').toLowerCase()}${group}/${stringAt(owner, 'name')}`;
}

export const CONTROLLER_REVISION_PRINTER: Printer = printer([
  NAME,
  text('Controller', controllerOf),
  integer('Revision', 'revision'),
  AGE,
]);

/** `kubectl get podtemplates`. */
export const POD_TEMPLATE_PRINTER: Printer = printer([
  NAME,
  text('Containers', (o) => templateTexts(o, 'name')),
  text('Images', (o) => templateTexts(o, 'image')),
  text('Pod Labels', (o) => labelText(valueAt(o, 'template.metadata.labels'))),
]);

function templateTexts(object: UnknownObject, field: string): string {
  const containers = valueAt(object, 'template.spec.containers');
  return Array.isArray(containers)
    ? (containers as unknown[]).map((one) => stringAt(one, field)).join(',')
    : '';
}
