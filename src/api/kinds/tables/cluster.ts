import { arrayAt, isObject, numberAt, objectAt, objectsAt, stringAt, valueAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import type { Printer } from '../registry.ts';
import { humanDuration } from './duration.ts';
import { AGE, ageOf, NAME, orNone, printer, text, textAt, wide } from './printer.ts';

const ROLE_PREFIX = 'node-role.kubernetes.io/';
const ROLE_LABEL = 'kubernetes.io/role';

function nodeStatus(node: UnknownObject): string {
  const ready = objectsAt(node['status'], 'conditions').find((one) => one['type'] === 'Ready');
  const parts = [ready ? (ready['status'] === 'True' ? 'Ready' : 'NotReady') : 'Unknown'];
  if (valueAt(node, 'spec.unschedulable') === true) parts.push('SchedulingDisabled');
  return parts.join(',');
}

function nodeRoles(node: UnknownObject): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(objectAt(node.metadata, 'labels'))) {
    if (key.startsWith(ROLE_PREFIX) && key.length > ROLE_PREFIX.length)
      roles.add(key.slice(ROLE_PREFIX.length));
    else if (key === ROLE_LABEL && typeof value === 'string' && value !== '') roles.add(value);
  }
  return orNone([...roles].sort().join(','));
}

function nodeAddress(node: UnknownObject, type: string): string {
  const address = objectsAt(node['status'], 'addresses').find((one) => one['type'] === type);
  return orNone(stringAt(address, 'address'));
}

function nodeInfo(node: UnknownObject, field: string): string {
  return orNone(textAt(node, `status.nodeInfo.${field}`), '<unknown>');
}

export const NODE_PRINTER: Printer = printer([
  NAME,
  text('Status', nodeStatus),
  text('Roles', nodeRoles),
  AGE,
  text('Version', 'status.nodeInfo.kubeletVersion'),
  wide(text('Internal-IP', (o) => nodeAddress(o, 'InternalIP'))),
  wide(text('External-IP', (o) => nodeAddress(o, 'ExternalIP'))),
  wide(text('OS-Image', (o) => nodeInfo(o, 'osImage'))),
  wide(text('Kernel-Version', (o) => nodeInfo(o, 'kernelVersion'))),
  wide(text('Container-Runtime', (o) => nodeInfo(o, 'containerRuntimeVersion'))),
]);

export const NAMESPACE_PRINTER: Printer = printer([NAME, text('Status', 'status.phase'), AGE]);

/** Fields of an Event in either of its two forms. */
interface EventView {
  readonly count: number;
  readonly first: unknown;
  readonly last: unknown;
  readonly series: unknown;
  readonly source: string;
  readonly regarding: unknown;
  readonly message: string;
}

function viewEvent(event: UnknownObject): EventView {
  const source = objectAt(event, isObject(event['source']) ? 'source' : 'deprecatedSource');
  const component =
    stringAt(source, 'component') ||
    stringAt(event, 'reportingComponent') ||
    stringAt(event, 'reportingController');
  const host =
    stringAt(source, 'host') || (stringAt(source, 'component') ? '' : stringAt(event, 'reportingInstance'));
  const series = isObject(event['series']) ? event['series'] : undefined;
  return {
    count: numberAt(event, 'count') ?? numberAt(event, 'deprecatedCount') ?? numberAt(series, 'count') ?? 1,
    first: event['firstTimestamp'] ?? event['deprecatedFirstTimestamp'] ?? event['eventTime'],
    last: event['lastTimestamp'] ?? event['deprecatedLastTimestamp'],
    series,
    source: [component, host].filter(Boolean).join(', '),
    regarding: event['involvedObject'] ?? event['regarding'],
    message: (stringAt(event, 'message') || stringAt(event, 'note')).trim(),
  };
}

function lastSeen(event: UnknownObject, nowMs: number): string {
  const view = viewEvent(event);
  const first = ageOf(view.first, nowMs);
  if (isObject(view.series)) {
    return `${ageOf(view.series['lastObservedTime'], nowMs)} (x${view.count} over ${first})`;
  }
  const last = view.last === undefined ? first : ageOf(view.last, nowMs);
  return view.count > 1 ? `${last} (x${view.count} over ${first})` : last;
}

export const EVENT_PRINTER: Printer = printer([
  text('Last Seen', lastSeen),
  text('Type', 'type'),
  text('Reason', 'reason'),
  text('Object', (o) => {
    const about = viewEvent(o).regarding;
    return `${stringAt(about, 'kind').toLowerCase()}/${stringAt(about, 'name')}`;
  }),
  wide(text('Subobject', (o) => stringAt(viewEvent(o).regarding, 'fieldPath'))),
  wide(text('Source', (o) => viewEvent(o).source)),
  text('Message', (o) => viewEvent(o).message),
  wide(text('First Seen', (o, nowMs) => ageOf(viewEvent(o).first, nowMs))),
  wide(text('Count', (o) => viewEvent(o).count)),
  wide(NAME),
]);

export const LEASE_PRINTER: Printer = printer([NAME, text('Holder', 'spec.holderIdentity'), AGE]);

export const PRIORITY_CLASS_PRINTER: Printer = printer([
  NAME,
  text('Value', 'value'),
  text('Global-Default', (o) => String(o['globalDefault'] === true)),
  AGE,
  text('PreemptionPolicy', 'preemptionPolicy'),
]);

export const RUNTIME_CLASS_PRINTER: Printer = printer([NAME, text('Handler', 'handler'), AGE]);

function csrCondition(csr: UnknownObject): string {
  const types = new Set(objectsAt(csr['status'], 'conditions').map((one) => stringAt(one, 'type')));
  const parts: string[] = [];
  if (types.has('Denied')) parts.push('Denied');
  else if (types.has('Approved')) parts.push('Approved');
  else parts.push('Pending');
  if (types.has('Failed')) parts.push('Failed');
  if (textAt(csr, 'status.certificate') !== '') parts.push('Issued');
  return parts.join(',');
}

export const CSR_PRINTER: Printer = printer([
  NAME,
  AGE,
  text('SignerName', (o) => orNone(textAt(o, 'spec.signerName'))),
  text('Requestor', 'spec.username'),
  text('RequestedDuration', (o) => {
    const seconds = numberAt(o['spec'], 'expirationSeconds');
    return seconds === undefined ? '<none>' : humanDuration(seconds * 1000);
  }),
  text('Condition', csrCondition),
]);

export const CRD_PRINTER: Printer = printer([
  NAME,
  {
    column: { name: 'Created At', type: 'date', format: '', description: '', priority: 0 },
    cell: (o) => o.metadata?.creationTimestamp ?? '',
  },
]);

const WEBHOOKS = text('Webhooks', (o) => arrayAt(o, 'webhooks').length);
export const WEBHOOK_PRINTER: Printer = printer([
  NAME,
  { ...WEBHOOKS, column: { ...WEBHOOKS.column, type: 'integer' } },
  AGE,
]);

export const ADMISSION_POLICY_PRINTER: Printer = printer([
  NAME,
  text('Validations', (o) => arrayAt(o['spec'], 'validations').length),
  text('ParamKind', (o) => {
    const kind = objectAt(o['spec'], 'paramKind');
    return Object.keys(kind).length === 0
      ? '<unset>'
      : `${stringAt(kind, 'apiVersion')}/${stringAt(kind, 'kind')}`;
  }),
  AGE,
]);

export const ADMISSION_BINDING_PRINTER: Printer = printer([
  NAME,
  text('PolicyName', 'spec.policyName'),
  text('ParamRef', (o) => {
    const ref = objectAt(o['spec'], 'paramRef');
    if (Object.keys(ref).length === 0) return '<unset>';
    const namespace = stringAt(ref, 'namespace');
    return `${namespace === '' ? '*' : namespace}/${stringAt(ref, 'name') || '*'}`;
  }),
  AGE,
]);
