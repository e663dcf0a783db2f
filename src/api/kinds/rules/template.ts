import { type FieldError, forbidden, invalid, required } from '../field-error.ts';
import { isObject, type JsonObject, numberAt, objectAt, stringAt } from '../json-value.ts';
import { labelQueryOf, matchesLabels } from '../selector.ts';
import { isEmptySelector, validateSelector } from './checks.ts';
import { validateAnnotations, validateLabels } from './metadata.ts';
import { validatePodSpec } from './pod/spec.ts';

/** Rules of a pod template; `restartAlways` names the kind whose pods must be restarted for ever. */
export function validateTemplate(errors: FieldError[], spec: JsonObject, restartAlways?: string): void {
  const template = objectAt(spec, 'template');
  const metadata = objectAt(template, 'metadata');
  errors.push(...validateLabels(metadata['labels'], 'spec.template.labels'));
  errors.push(...validateAnnotations(metadata['annotations'], 'spec.template.annotations'));
  const podSpec = objectAt(template, 'spec');
  validatePodSpec(errors, podSpec, 'spec.template.spec');
  if (restartAlways === undefined) return;
  const policy = stringAt(podSpec, 'restartPolicy');
  if (policy !== '' && policy !== 'Always') {
    errors.push({
      reason: 'FieldValueNotSupported',
      field: 'spec.template.spec.restartPolicy',
      message: `Unsupported value: ${JSON.stringify(policy)}: supported values: "Always"`,
    });
  }
  if (numberAt(podSpec, 'activeDeadlineSeconds') !== undefined) {
    const text = `activeDeadlineSeconds in ${restartAlways} is not Supported`;
    errors.push(forbidden('spec.template.spec.activeDeadlineSeconds', text));
  }
}

/** The selector must be there, select something, and select the template's own labels. */
export function validateOwnSelector(errors: FieldError[], spec: JsonObject, kind: string): void {
  const selector = spec['selector'];
  const before = errors.length;
  if (isObject(selector)) validateSelector(errors, selector, 'spec.selector');
  else if (kind !== 'daemonset') errors.push(required('spec.selector'));
  if (isObject(selector) && errors.length > before) {
    errors.push(invalid('spec.selector', selector, 'invalid label selector'));
    return;
  }
  if (isObject(selector) && isEmptySelector(selector)) {
    errors.push(invalid('spec.selector', selector, `empty selector is invalid for ${kind}`));
    return;
  }
  validateOwnLabels(errors, spec);
}

/** Pods of the template must be the selector's own; an absent selector selects nothing. */
export function validateOwnLabels(errors: FieldError[], spec: JsonObject): void {
  const labels = objectAt(objectAt(spec, 'template'), 'metadata')['labels'];
  const query = labelQueryOf(spec['selector']);
  if (query && matchesLabels(query, objectAt({ labels }, 'labels') as Record<string, string>)) return;
  const text = '`selector` does not match template `labels`';
  errors.push(invalid('spec.template.metadata.labels', labels, text));
}
