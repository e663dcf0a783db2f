import { type FieldError, forbidden, invalid, required } from '../field-error.ts';
import { isObject, type JsonObject, numberAt, objectAt, stringAt } from '../json-value.ts';
import { labelQueryOf, matchesLabels } from '../selector.ts';
import { isEmptySelector, validateSelector } from './checks.ts';
import { validateAnnotations, validateLabels } from './metadata.ts';
import { validatePodSpec } from './pod/spec.ts';

/** Rules of a pod template of a workload whose pods are restarted for ever. */
export function validateTemplate(errors: FieldError[], spec: JsonObject, restartAlways: boolean): void {
  const template = objectAt(spec, 'template');
  const metadata = objectAt(template, 'metadata');
  errors.push(...validateLabels(metadata['labels'], 'spec.template.labels'));
  errors.push(...validateAnnotations(metadata['annotations'], 'spec.template.annotations'));
  const podSpec = objectAt(template, 'spec');
  validatePodSpec(errors, podSpec, 'spec.template.spec');
  if (!restartAlways) return;
  const policy = stringAt(podSpec, 'restartPolicy');
  if (policy !== '' && policy !== 'Always') {
    errors.push({
      reason: 'FieldValueNotSupported',
      field: 'spec.template.spec.restartPolicy',
      message: `Unsupported value: ${JSON.stringify(policy)}: supported values: "Always"`,
    });
  }
  if (numberAt(podSpec, 'activeDeadlineSeconds') !== undefined) {
    const kind = 'activeDeadlineSeconds in ReplicaSet is not Supported';
    errors.push(forbidden('spec.template.spec.activeDeadlineSeconds', kind));
  }
}

/** The selector must be there, select something, and select the template's own labels. */
export function validateOwnSelector(errors: FieldError[], spec: JsonObject, kind: string): void {
  const selector = spec['selector'];
  if (!isObject(selector)) {
    errors.push(required('spec.selector'));
    return;
  }
  validateSelector(errors, selector, 'spec.selector');
  if (isEmptySelector(selector)) {
    errors.push(invalid('spec.selector', selector, `empty selector is invalid for ${kind}`));
    return;
  }
  const labels = objectAt(objectAt(objectAt(spec, 'template'), 'metadata'), 'labels');
  if (!matchesLabels(labelQueryOf(selector) ?? [], labels as Record<string, string>)) {
    const text = '`selector` does not match template `labels`';
    errors.push(invalid('spec.template.metadata.labels', labels, text));
  }
}
