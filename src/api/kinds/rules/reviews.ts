import { type FieldError, invalid, notSupported, required } from '../field-error.ts';
import { arrayAt, isObject, objectAt, stringAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import type { KindRules } from './kind-rules.ts';

/** A question about access is about a resource or about a path, never both. */
function validateAttributes(review: UnknownObject): FieldError[] {
  const spec = objectAt(review, 'spec');
  const [resource, path] = [isObject(spec['resourceAttributes']), isObject(spec['nonResourceAttributes'])];
  if (resource !== path) return [];
  if (!resource) {
    const text = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
    return [invalid('spec.resourceAttributes', spec['nonResourceAttributes'] ?? null, text)];
  }
  const text = 'cannot be specified in combination with resourceAttributes';
  return [invalid('spec.nonResourceAttributes', spec['nonResourceAttributes'], text)];
}

function validateSubject(review: UnknownObject): FieldError[] {
  const spec = objectAt(review, 'spec');
  if (stringAt(spec, 'user') !== '' || arrayAt(spec, 'groups').length > 0) return [];
  return [invalid('spec.user', stringAt(spec, 'user'), 'at least one of user or group must be specified')];
}

export const ACCESS_REVIEW_RULES: KindRules = {
  validate: (review) => [...validateAttributes(review), ...validateSubject(review)],
};

export const SELF_ACCESS_REVIEW_RULES: KindRules = { validate: validateAttributes };

export const LOCAL_ACCESS_REVIEW_RULES: KindRules = {
  validate: (review) => {
    const errors = [...validateAttributes(review), ...validateSubject(review)];
    const spec = objectAt(review, 'spec');
    const namespace = stringAt(review.metadata, 'namespace');
    const asked = stringAt(spec['resourceAttributes'], 'namespace');
    if (isObject(spec['nonResourceAttributes'])) {
      const text = 'disallowed on this kind of request';
      errors.push(invalid('spec.nonResourceAttributes', spec['nonResourceAttributes'], text));
    } else if (asked !== namespace) {
      errors.push(invalid('spec.resourceAttributes.namespace', asked, 'must match metadata.namespace'));
    }
    return errors;
  },
};

export const TOKEN_REVIEW_RULES: KindRules = {
  validate: (review) => (stringAt(review['spec'], 'token') === '' ? [required('spec.token')] : []),
};

export const BINDING_RULES: KindRules = {
  validate: (binding) => {
    const errors: FieldError[] = [];
    const target = objectAt(binding, 'target');
    const kind = stringAt(target, 'kind');
    if (kind !== '' && kind !== 'Node') errors.push(notSupported('target.kind', kind, ['Node', '<empty>']));
    if (stringAt(target, 'name') === '') errors.push(required('target.name'));
    return errors;
  },
};
