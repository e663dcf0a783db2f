import {
  cloneJson,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { canonicalQuantity, compareQuantities, formatQuantity, parseQuantity } from '../../kinds/quantity.ts';
import { forbidden } from '../status.ts';
import type { Core } from '../verbs/context.ts';
import type { AdmissionPlugin } from './admission.ts';
import { isNewPod, objectsOf } from './objects.ts';
import { type Amounts, podAmounts } from './pod-amounts.ts';

const ANNOTATION = 'kubernetes.io/limit-ranger';

/** LimitRanges of the namespace: fills requests and limits of new pods, and refuses what is outside the range. */
export function limitRanger(core: Core): AdmissionPlugin {
  const limitsOf = (namespace: string): JsonObject[] =>
    objectsOf(core, '', 'limitranges', namespace).flatMap((one) => objectsAt(one['spec'], 'limits'));
  return {
    name: 'LimitRanger',
    admit(request) {
      if (!isNewPod(request) || !request.object) return;
      for (const limit of limitsOf(request.namespace)) {
        if (limit['type'] === 'Container') fill(request.object, limit);
      }
    },
    validate(request) {
      const { kind, object, operation, subresource } = request;
      if (!object || kind.group !== '' || subresource) return;
      const isClaim = kind.kind === 'PersistentVolumeClaim';
      if (!isClaim && !isNewPod(request)) return;
      if (isClaim && operation === 'DELETE') return;
      const faults = limitsOf(request.namespace).flatMap((limit) =>
        isClaim ? claimFaults(object, limit) : podFaults(object, limit),
      );
      if (faults.length === 0) return;
      const text = faults.length === 1 ? (faults[0] ?? '') : `[${faults.join(', ')}]`;
      throw forbidden(kind, request.name, text);
    },
  };
}

function containersOf(pod: UnknownObject): JsonObject[] {
  const { spec } = pod;
  return [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')];
}

function fill(pod: UnknownObject, limit: JsonObject): void {
  const notes: string[] = [];
  for (const container of containersOf(pod)) {
    const resources = isObject(container['resources']) ? container['resources'] : {};
    for (const [field, source, word] of [
      ['limits', 'default', 'limit'],
      ['requests', 'defaultRequest', 'request'],
    ] as const) {
      const own = { ...objectAt(resources, field) };
      const added = Object.entries(objectAt(limit, source)).filter(([name]) => own[name] === undefined);
      if (added.length === 0) continue;
      for (const [name, value] of added) own[name] = cloneJson(value);
      resources[field] = own;
      const names = added.map(([name]) => name).sort();
      const role = objectsAt(pod['spec'], 'initContainers').includes(container)
        ? 'init container'
        : 'container';
      notes.push(`${names.join(', ')} ${word} for ${role} ${stringAt(container, 'name')}`);
    }
    container['resources'] = resources;
  }
  if (notes.length === 0) return;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [ANNOTATION]: `LimitRanger plugin set: ${notes.join('; ')}`,
  };
}

function podFaults(pod: UnknownObject, limit: JsonObject): string[] {
  if (limit['type'] === 'Pod') {
    return faultsOf(limit, 'Pod', podAmounts(pod, 'requests'), podAmounts(pod, 'limits'));
  }
  if (limit['type'] !== 'Container') return [];
  return containersOf(pod).flatMap((container) => {
    const resources = objectAt(container, 'resources');
    return faultsOf(limit, 'Container', amountsOf(resources['requests']), amountsOf(resources['limits']));
  });
}

function claimFaults(claim: UnknownObject, limit: JsonObject): string[] {
  if (limit['type'] !== 'PersistentVolumeClaim') return [];
  const requests = amountsOf(objectAt(objectAt(claim, 'spec'), 'resources')['requests']);
  return faultsOf(limit, 'PersistentVolumeClaim', requests, new Map(), false);
}

function amountsOf(list: unknown): Amounts {
  return new Map(
    Object.entries(isObject(list) ? list : {}).map(([name, value]) => [
      name,
      parseQuantity(value)?.nano ?? 0n,
    ]),
  );
}

const nanoOf = (value: unknown): bigint => parseQuantity(value)?.nano ?? 0n;

/** Words of upstream's LimitRanger. `hasLimits` is false for claims, which only request. */
function faultsOf(
  limit: JsonObject,
  type: string,
  requests: Amounts,
  limits: Amounts,
  hasLimits = true,
): string[] {
  const faults: string[] = [];
  const shown = (nano: bigint, like: unknown): string => canonical(nano, like);
  for (const [name, min] of Object.entries(objectAt(limit, 'min'))) {
    const request = requests.get(name) ?? (hasLimits ? limits.get(name) : undefined);
    const head = `minimum ${name} usage per ${type} is ${canonicalQuantity(min) ?? ''}`;
    if (request === undefined) faults.push(`${head}.  No request is specified`);
    else if (request < nanoOf(min)) faults.push(`${head}, but request is ${shown(request, min)}`);
  }
  for (const [name, max] of Object.entries(objectAt(limit, 'max'))) {
    const used = hasLimits ? limits.get(name) : requests.get(name);
    const word = hasLimits ? 'limit' : 'request';
    const head = `maximum ${name} usage per ${type} is ${canonicalQuantity(max) ?? ''}`;
    if (used === undefined) faults.push(`${head}.  No ${word} is specified`);
    else if (used > nanoOf(max)) faults.push(`${head}, but ${word} is ${shown(used, max)}`);
  }
  return [...faults, ...ratioFaults(limit, type, requests, limits)];
}

function ratioFaults(limit: JsonObject, type: string, requests: Amounts, limits: Amounts): string[] {
  const faults: string[] = [];
  for (const [name, ratio] of Object.entries(objectAt(limit, 'maxLimitRequestRatio'))) {
    const [request, most] = [requests.get(name), limits.get(name)];
    const head = `${name} max limit to request ratio per ${type} is ${canonicalQuantity(ratio) ?? ''}`;
    if (request === undefined || request === 0n || most === undefined) {
      faults.push(`${head}, but no request is specified or request is 0`);
      continue;
    }
    const provided = Number(most) / Number(request);
    if ((compareQuantities(provided.toFixed(6), ratio) ?? 0) > 0) {
      faults.push(`${head}, but provided ratio is ${provided.toFixed(6)}`);
    }
  }
  return faults;
}

function canonical(nano: bigint, like: unknown): string {
  const format = parseQuantity(like)?.format ?? 'decimal';
  return formatQuantity({ nano, format });
}
