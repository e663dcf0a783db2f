import { type FieldError, forbidden } from '../field-error.ts';
import {
  cloneJson,
  ensureObject,
  equalJson,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import type { KindRules } from './kind-rules.ts';
import { defaultPod, defaultPodSpec } from './pod-defaults.ts';
import { validateImages } from './pod/container.ts';
import { validatePodSpec } from './pod/spec.ts';
import { qosClassOf } from './qos.ts';

const DEFAULT_GRACE_SECONDS = 30;

const MAY_CHANGE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

function defaults(pod: UnknownObject): void {
  const spec = pod['spec'];
  if (!isObject(spec)) return;
  defaultPodSpec(spec);
  defaultPod(spec);
}

/** The fields an update may change, put back to what they were. */
function withoutMutable(spec: JsonObject, old: JsonObject): JsonObject {
  const copy = cloneJson(spec);
  for (const list of ['containers', 'initContainers']) {
    const before = objectsAt(old, list);
    for (const [index, container] of objectsAt(copy, list).entries()) {
      const image = before[index]?.['image'];
      if (image !== undefined) container['image'] = image;
    }
  }
  for (const field of ['activeDeadlineSeconds', 'tolerations', 'schedulingGates']) {
    if (old[field] === undefined) delete copy[field];
    else copy[field] = old[field];
  }
  if (numberAt(old, 'terminationGracePeriodSeconds') === -1 && copy['terminationGracePeriodSeconds'] === 1) {
    copy['terminationGracePeriodSeconds'] = -1;
  }
  // A gated pod may still be steered to nodes.
  if (objectsAt(old, 'schedulingGates').length > 0) {
    for (const field of ['nodeSelector', 'affinity']) {
      if (old[field] === undefined) delete copy[field];
      else copy[field] = old[field];
    }
  }
  return copy;
}

function validateUpdate(pod: UnknownObject, old: UnknownObject): FieldError[] {
  const [spec, before] = [objectAt(pod, 'spec'), objectAt(old, 'spec')];
  if (equalJson(spec, before)) return [];
  const errors: FieldError[] = [];
  if (objectsAt(spec, 'containers').length !== objectsAt(before, 'containers').length) {
    errors.push(forbidden('spec.containers', 'pod updates may not add or remove containers'));
    return errors;
  }
  if (objectsAt(spec, 'initContainers').length !== objectsAt(before, 'initContainers').length) {
    errors.push(forbidden('spec.initContainers', 'pod updates may not add or remove containers'));
    return errors;
  }
  errors.push(...validateDeadline(spec, before));
  const kept = objectsAt(before, 'tolerations').every((one) =>
    objectsAt(spec, 'tolerations').some((other) => equalJson(withoutSeconds(one), withoutSeconds(other))),
  );
  if (!kept)
    errors.push(
      forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'),
    );
  const gates = new Set(objectsAt(before, 'schedulingGates').map((one) => stringAt(one, 'name')));
  const added = objectsAt(spec, 'schedulingGates').filter((one) => !gates.has(stringAt(one, 'name')));
  if (added.length > 0) {
    const names = added.map((one) => stringAt(one, 'name')).join(',');
    errors.push(
      forbidden('spec.schedulingGates', `only deletion is allowed, but found new scheduling gate '${names}'`),
    );
  }
  if (!equalJson(withoutMutable(spec, before), before)) errors.push(forbidden('spec', MAY_CHANGE));
  return errors;
}

function withoutSeconds(toleration: JsonObject): JsonObject {
  const { tolerationSeconds: _, ...rest } = toleration;
  return rest;
}

function validateDeadline(spec: JsonObject, before: JsonObject): FieldError[] {
  const [now, was] = [numberAt(spec, 'activeDeadlineSeconds'), numberAt(before, 'activeDeadlineSeconds')];
  if (was === undefined || (now !== undefined && now <= was)) return [];
  const text =
    now === undefined
      ? 'must not update from a positive integer to nil value'
      : 'must be less than or equal to previous value';
  return [
    {
      reason: 'FieldValueInvalid',
      field: 'spec.activeDeadlineSeconds',
      message: `Invalid value: ${now ?? 'null'}: ${text}`,
    },
  ];
}

/** Finished and unscheduled pods go at once; others get their own grace. */
function graceSeconds(pod: UnknownObject, requested: number | undefined): number {
  const spec = objectAt(pod, 'spec');
  const phase = stringAt(pod['status'], 'phase');
  if (stringAt(spec, 'nodeName') === '' || phase === 'Failed' || phase === 'Succeeded') return 0;
  const own = numberAt(spec, 'terminationGracePeriodSeconds') ?? DEFAULT_GRACE_SECONDS;
  const seconds = requested ?? own;
  return seconds < 0 ? 1 : seconds;
}

function hasHostNetwork(pod: UnknownObject): string {
  return String(objectAt(pod, 'spec')['hostNetwork'] === true);
}

export const POD_RULES: KindRules = {
  shortNames: ['po'],
  categories: ['all'],
  generation: true,
  selectable: {
    'spec.nodeName': 'spec.nodeName',
    'spec.restartPolicy': 'spec.restartPolicy',
    'spec.schedulerName': 'spec.schedulerName',
    'spec.serviceAccountName': 'spec.serviceAccountName',
    'spec.hostNetwork': hasHostNetwork,
    'status.phase': 'status.phase',
    'status.podIP': 'status.podIP',
    'status.nominatedNodeName': 'status.nominatedNodeName',
  },
  defaults,
  prepareCreate: (pod) => {
    const spec = objectAt(pod, 'spec');
    if ((numberAt(spec, 'terminationGracePeriodSeconds') ?? 0) < 0) spec['terminationGracePeriodSeconds'] = 1;
    pod['status'] = { phase: 'Pending', qosClass: qosClassOf(pod['spec']) };
    const gated = objectsAt(pod['spec'], 'schedulingGates').length > 0;
    const status = ensureObject(pod, 'status');
    if (gated && status) {
      status['conditions'] = [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'SchedulingGated',
          message: 'Scheduling is blocked due to non-empty scheduling gates',
        },
      ];
    }
  },
  validate: (pod) => {
    const errors: FieldError[] = [];
    const spec = objectAt(pod, 'spec');
    validatePodSpec(errors, spec, 'spec');
    validateImages(errors, spec, 'spec');
    return errors;
  },
  validateCreate: (pod) => {
    const errors: FieldError[] = [];
    const spec = objectAt(pod, 'spec');
    if (objectsAt(spec, 'ephemeralContainers').length > 0)
      errors.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'));
    if (stringAt(spec, 'nodeName') !== '' && objectsAt(spec, 'schedulingGates').length > 0) {
      const text = 'cannot be set until all schedulingGates have been cleared';
      errors.push(forbidden('spec.nodeName', text));
    }
    return errors;
  },
  validateUpdate,
  graceSeconds,
};
