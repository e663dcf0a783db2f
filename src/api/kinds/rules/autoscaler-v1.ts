/**
 * autoscaling/v1 HorizontalPodAutoscalers: kept as autoscaling/v2. What v1 has no fields for stands in its
 * annotations, as upstream writes them, so that nothing is lost on the way there and back.
 */
import type { FieldError } from '../field-error.ts';
import {
  arrayAt,
  cloneJson,
  ensureObject,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { AUTOSCALER_RULES } from './autoscaler.ts';
import type { KindRules } from './kind-rules.ts';

const PREFIX = 'autoscaling.alpha.kubernetes.io/';
const SHARED_SPEC = ['scaleTargetRef', 'minReplicas', 'maxReplicas'];
const SHARED_STATUS = ['observedGeneration', 'lastScaleTime', 'currentReplicas', 'desiredReplicas'];
/** Field of the v2 spec or status -> the annotation a v1 object has it in. */
const ANNOTATED = [
  ['spec', 'metrics'],
  ['spec', 'behavior'],
  ['status', 'conditions'],
  ['status', 'current-metrics'],
] as const;

/** The one metric v1 has a field for: utilization of cpu. */
function isCpuUtilization(metric: JsonObject): boolean {
  const { name, target } = objectAt(metric, 'resource');
  return (
    metric['type'] === 'Resource' &&
    name === 'cpu' &&
    objectAt({ target }, 'target')['type'] === 'Utilization'
  );
}

function picked(from: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(
    names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]),
  );
}

function fieldOf(annotation: string): string {
  return annotation === 'current-metrics' ? 'currentMetrics' : annotation;
}

function toStorage(object: UnknownObject): UnknownObject {
  const spec = picked(objectAt(object, 'spec'), SHARED_SPEC);
  const status = picked(objectAt(object, 'status'), SHARED_STATUS);
  const metadata = cloneJson(object.metadata);
  const annotations = objectAt(metadata, 'annotations');
  const parts = { spec, status };
  for (const [part, name] of ANNOTATED) {
    const value = parsed(annotations[PREFIX + name]);
    if (value !== undefined) parts[part][fieldOf(name)] = value;
    delete annotations[PREFIX + name];
  }
  if (isObject(metadata?.annotations) && Object.keys(annotations).length === 0) delete metadata.annotations;
  const percent = objectAt(object, 'spec')['targetCPUUtilizationPercentage'];
  if (percent !== undefined) {
    const target = { type: 'Utilization', averageUtilization: percent };
    const cpu = { type: 'Resource', resource: { name: 'cpu', target } };
    spec['metrics'] = [cpu, ...objectsAt(spec, 'metrics')];
  }
  const current = objectAt(object, 'status')['currentCPUUtilizationPercentage'];
  if (current !== undefined) {
    const cpu = { name: 'cpu', current: { averageUtilization: current, averageValue: '0' } };
    if (arrayAt(status, 'currentMetrics').length === 0)
      status['currentMetrics'] = [{ type: 'Resource', resource: cpu }];
  }
  return { ...object, apiVersion: 'autoscaling/v2', metadata, spec, status };
}

function parsed(annotation: unknown): unknown {
  if (typeof annotation !== 'string') return undefined;
  try {
    return JSON.parse(annotation) as unknown;
  } catch {
    // Somebody else's text: it stays out of the object, like upstream's conversion leaves it out.
    return undefined;
  }
}

function fromStorage(object: UnknownObject): UnknownObject {
  const [stored, was] = [objectAt(object, 'spec'), objectAt(object, 'status')];
  const spec = picked(stored, SHARED_SPEC);
  const status = picked(was, SHARED_STATUS);
  const metadata = cloneJson(object.metadata);
  const metrics = objectsAt(stored, 'metrics');
  const cpu = metrics.find(isCpuUtilization);
  if (cpu) {
    const target = objectAt(objectAt(cpu, 'resource'), 'target');
    spec['targetCPUUtilizationPercentage'] = target['averageUtilization'];
  }
  const current = objectsAt(was, 'currentMetrics').map((one) => objectAt(one, 'resource'));
  const used = current.find(({ name }) => name === 'cpu');
  const percent = objectAt(used, 'current')['averageUtilization'];
  if (percent !== undefined) status['currentCPUUtilizationPercentage'] = percent;
  const rest: JsonObject = {
    metrics: metrics.filter((metric) => metric !== cpu),
    behavior: stored['behavior'],
    conditions: arrayAt(was, 'conditions'),
    'current-metrics': arrayAt(was, 'currentMetrics'),
  };
  for (const [name, value] of Object.entries(rest)) {
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    const annotations = ensureObject(metadata as unknown as JsonObject, 'annotations');
    if (annotations) annotations[PREFIX + name] = JSON.stringify(value);
  }
  return { ...object, apiVersion: 'autoscaling/v1', metadata, spec, status };
}

function validate(object: UnknownObject): FieldError[] {
  return AUTOSCALER_RULES.validate?.(toStorage(object)) ?? [];
}

export const AUTOSCALER_V1_RULES: KindRules = {
  shortNames: ['hpa'],
  categories: ['all'],
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    if (spec) spec['minReplicas'] ??= 1;
  },
  validate,
  stored: {
    kind: { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' },
    toStorage,
    fromStorage,
  },
};
