import { arrayAt, objectAt, objectsAt, stringAt, valueAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { parseQuantity } from '../../kinds/quantity.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import { qosClassOf } from '../../kinds/rules/qos.ts';
import { type Amounts, podAmounts } from './pod-amounts.ts';

const ONE = 1_000_000_000n;
/** Core kinds that are counted under their plain plural, too. */
const PLAIN: ReadonlySet<string> = new Set([
  'pods',
  'services',
  'secrets',
  'configmaps',
  'replicationcontrollers',
  'resourcequotas',
  'persistentvolumeclaims',
]);

/** What one object uses of everything a ResourceQuota can limit; nothing for pods that have ended. */
export function usageOf(kind: KindInfo, object: UnknownObject): Amounts {
  const used = new Map<string, bigint>();
  used.set(`count/${kind.plural}${kind.group ? `.${kind.group}` : ''}`, ONE);
  if (kind.group !== '') return used;
  if (kind.kind === 'Pod') return isOver(object) ? used : podUsage(object, used);
  if (PLAIN.has(kind.plural)) used.set(kind.plural, ONE);
  if (kind.kind === 'Service') serviceUsage(object, used);
  if (kind.kind === 'PersistentVolumeClaim') claimUsage(object, used);
  return used;
}

function isOver(pod: UnknownObject): boolean {
  const phase = valueAt(pod, 'status.phase');
  return phase === 'Succeeded' || phase === 'Failed';
}

function podUsage(pod: UnknownObject, used: Map<string, bigint>): Amounts {
  used.set('pods', ONE);
  for (const [name, nano] of podAmounts(pod, 'requests')) {
    used.set(`requests.${name}`, nano);
    if (['cpu', 'memory', 'ephemeral-storage'].includes(name)) used.set(name, nano);
    if (name.startsWith('hugepages-')) used.set(name, nano);
  }
  for (const [name, nano] of podAmounts(pod, 'limits')) used.set(`limits.${name}`, nano);
  return used;
}

function serviceUsage(service: UnknownObject, used: Map<string, bigint>): void {
  const type = valueAt(service, 'spec.type');
  if (type !== 'NodePort' && type !== 'LoadBalancer') return;
  const ports = objectsAt(service['spec'], 'ports');
  const withoutNodePorts = valueAt(service, 'spec.allocateLoadBalancerNodePorts') === false;
  const count =
    type === 'LoadBalancer' && withoutNodePorts
      ? ports.filter((port) => typeof port['nodePort'] === 'number' && port['nodePort'] !== 0).length
      : ports.length;
  used.set('services.nodeports', BigInt(count) * ONE);
  if (type === 'LoadBalancer') used.set('services.loadbalancers', ONE);
}

function claimUsage(claim: UnknownObject, used: Map<string, bigint>): void {
  const storage = parseQuantity(valueAt(claim, 'spec.resources.requests.storage'))?.nano ?? 0n;
  const storageClass = stringAt(claim['spec'], 'storageClassName');
  used.set('requests.storage', storage);
  if (!storageClass) return;
  used.set(`${storageClass}.storageclass.storage.k8s.io/requests.storage`, storage);
  used.set(`${storageClass}.storageclass.storage.k8s.io/persistentvolumeclaims`, ONE);
}

/** True when the quota's scopes cover the object. Quotas with scopes count pods only. */
export function inScope(quota: UnknownObject, kind: KindInfo, object: UnknownObject): boolean {
  const spec = objectAt(quota, 'spec');
  const scopes = arrayAt(spec, 'scopes').map((scopeName) => ({ scopeName, operator: 'Exists', values: [] }));
  const all = [...scopes, ...objectsAt(objectAt(spec, 'scopeSelector'), 'matchExpressions')];
  if (all.length === 0) return true;
  if (kind.kind !== 'Pod' || kind.group !== '') return false;
  return all.every((one) => matchesScope(one, object));
}

function matchesScope(scope: Readonly<Record<string, unknown>>, pod: UnknownObject): boolean {
  const { spec } = pod;
  switch (scope['scopeName']) {
    case 'Terminating':
      return valueAt(spec, 'activeDeadlineSeconds') !== undefined;
    case 'NotTerminating':
      return valueAt(spec, 'activeDeadlineSeconds') === undefined;
    case 'BestEffort':
      return qosClassOf(spec) === 'BestEffort';
    case 'NotBestEffort':
      return qosClassOf(spec) !== 'BestEffort';
    case 'PriorityClass':
      return matchesPriority(scope, stringAt(spec, 'priorityClassName'));
    case 'CrossNamespacePodAffinity':
      return /"namespace(s|Selector)":/.test(JSON.stringify(objectAt(spec, 'affinity')));
    default:
      return false;
  }
}

function matchesPriority(scope: Readonly<Record<string, unknown>>, name: string): boolean {
  const values = arrayAt(scope, 'values');
  switch (scope['operator']) {
    case 'In':
      return values.includes(name);
    case 'NotIn':
      return !values.includes(name);
    case 'DoesNotExist':
      return name === '';
    default:
      return name !== '';
  }
}
