import { type FieldError, invalid, required } from '../field-error.ts';
import { ensureObject, equalJson, isObject, type JsonObject, objectAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { matchesLabels } from '../selector.ts';
import { nonNegative } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable, validateLabels } from './metadata.ts';
import { defaultTemplate } from './pod-defaults.ts';
import { validatePodSpec } from './pod/spec.ts';
import { validateTemplate } from './template.ts';

function templateLabels(spec: unknown): JsonObject {
  return objectAt(objectAt(objectAt(spec, 'template'), 'metadata'), 'labels');
}

function isEmpty(value: unknown): boolean {
  return !isObject(value) || Object.keys(value).length === 0;
}

function validateController(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  for (const name of ['replicas', 'minReadySeconds']) nonNegative(errors, spec, name, 'spec');
  const selector = objectAt(spec, 'selector');
  if (isEmpty(selector)) errors.push(required('spec.selector'));
  if (!isObject(spec['template'])) {
    errors.push(required('spec.template'));
    return errors;
  }
  const query = Object.entries(selector).map(([key, value]) => ({
    key,
    operator: '=' as const,
    values: [String(value)],
  }));
  const labels = templateLabels(spec);
  if (!isEmpty(selector) && !matchesLabels(query, labels as Record<string, string>)) {
    errors.push(
      invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'),
    );
  }
  validateTemplate(errors, spec, 'ReplicationController');
  return errors;
}

export const REPLICATION_CONTROLLER_RULES: KindRules = {
  shortNames: ['rc'],
  categories: ['all'],
  generation: true,
  scale: {
    specReplicas: 'spec.replicas',
    statusReplicas: 'status.replicas',
    labelSelector: 'spec.selector',
  },
  selectable: { 'status.replicas': 'status.replicas' },
  // The selector, and the object's own labels, are those of the template when left out.
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    if (!spec) return;
    spec['replicas'] ??= 1;
    defaultTemplate(spec);
    const labels = templateLabels(spec);
    if (isEmpty(labels)) return;
    if (isEmpty(spec['selector'])) spec['selector'] = { ...labels };
    const metadata = ensureObject(object, 'metadata');
    if (metadata && isEmpty(metadata['labels'])) metadata['labels'] = { ...labels };
  },
  validate: validateController,
};

export const POD_TEMPLATE_RULES: KindRules = {
  generation: true,
  defaults: (object) => defaultTemplate(object),
  validate: (object) => {
    const errors: FieldError[] = [];
    const template = objectAt(object, 'template');
    errors.push(...validateLabels(objectAt(template, 'metadata')['labels'], 'template.labels'));
    validatePodSpec(errors, objectAt(template, 'spec'), 'template.spec');
    return errors;
  },
};

export const CONTROLLER_REVISION_RULES: KindRules = {
  validate: (object) => {
    const errors: FieldError[] = [];
    nonNegative(errors, object, 'revision', '');
    if (object['data'] === undefined || object['data'] === null)
      errors.push(required('data', 'data is mandatory'));
    return errors.map((error) => ({ ...error, field: error.field.replace(/^\./, '') }));
  },
  validateUpdate: (object, old) =>
    equalJson(object['data'], old['data']) ? [] : immutable(object['data'], old['data'], 'data'),
};
