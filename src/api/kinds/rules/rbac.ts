import { type FieldError, invalid, notSupported, required } from '../field-error.ts';
import { dnsSubdomain, pathSegment } from '../formats.ts';
import {
  arrayAt,
  equalJson,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { addTexts, validateSelector } from './checks.ts';
import type { KindRules } from './kind-rules.ts';

const RBAC_GROUP = 'rbac.authorization.k8s.io';

function validateRule(errors: FieldError[], rule: JsonObject, path: string, namespaced: boolean): void {
  if (arrayAt(rule, 'verbs').length === 0)
    errors.push(required(`${path}.verbs`, 'verbs must contain at least one value'));
  const [urls, groups, resources] = ['nonResourceURLs', 'apiGroups', 'resources'].map((name) =>
    arrayAt(rule, name),
  );
  if ((urls?.length ?? 0) > 0) {
    if (namespaced) {
      errors.push(
        invalid(`${path}.nonResourceURLs`, urls, 'namespaced rules cannot apply to non-resource URLs'),
      );
    }
    const others = [groups, resources, arrayAt(rule, 'resourceNames')];
    if (others.some((one) => (one?.length ?? 0) > 0)) {
      const text = 'rules cannot apply to both regular resources and non-resource URLs';
      errors.push(invalid(`${path}.nonResourceURLs`, urls, text));
    }
    return;
  }
  if (groups?.length === 0) {
    errors.push(required(`${path}.apiGroups`, 'resource rules must supply at least one api group'));
  }
  if (resources?.length === 0) {
    errors.push(required(`${path}.resources`, 'resource rules must supply at least one resource'));
  }
}

function roleRules(namespaced: boolean): KindRules {
  return {
    nameRule: pathSegment,
    createOnUpdate: true,
    validate: (object) => {
      const errors: FieldError[] = [];
      for (const [index, rule] of objectsAt(object, 'rules').entries()) {
        validateRule(errors, rule, `rules[${index}]`, namespaced);
      }
      const selectors = objectsAt(object['aggregationRule'], 'clusterRoleSelectors');
      if (isObject(object['aggregationRule']) && selectors.length === 0) {
        const text = 'at least one clusterRoleSelector required if aggregationRule is non-nil';
        errors.push(required('aggregationRule.clusterRoleSelectors', text));
      }
      for (const [index, selector] of selectors.entries()) {
        const field = `aggregationRule.clusterRoleSelectors[${index}]`;
        const before = errors.length;
        validateSelector(errors, selector, field);
        if (errors.length > before) errors.push(invalid(field, null, 'invalid label selector.'));
      }
      return errors;
    },
  };
}

function defaultBinding(object: UnknownObject): void {
  const ref = object['roleRef'];
  if (isObject(ref)) setDefault(ref, 'apiGroup', RBAC_GROUP);
  for (const subject of objectsAt(object, 'subjects')) {
    if (subject['kind'] === 'User' || subject['kind'] === 'Group')
      setDefault(subject, 'apiGroup', RBAC_GROUP);
  }
}

function validateSubject(errors: FieldError[], subject: JsonObject, path: string, namespaced: boolean): void {
  const name = stringAt(subject, 'name');
  if (name === '') errors.push(required(`${path}.name`));
  const group = stringAt(subject, 'apiGroup');
  switch (subject['kind']) {
    case 'ServiceAccount':
      if (name !== '') addTexts(errors, `${path}.name`, name, dnsSubdomain(name));
      if (group !== '') errors.push(notSupported(`${path}.apiGroup`, group, ['']));
      if (!namespaced && stringAt(subject, 'namespace') === '') errors.push(required(`${path}.namespace`));
      break;
    case 'User':
    case 'Group':
      if (group !== RBAC_GROUP) errors.push(notSupported(`${path}.apiGroup`, group, [RBAC_GROUP]));
      break;
    default:
      errors.push(notSupported(`${path}.kind`, subject['kind'] ?? '', ['ServiceAccount', 'User', 'Group']));
  }
}

function bindingRules(namespaced: boolean): KindRules {
  return {
    nameRule: pathSegment,
    createOnUpdate: true,
    defaults: defaultBinding,
    validate: (object) => {
      const errors: FieldError[] = [];
      const ref = objectAt(object, 'roleRef');
      if (ref['apiGroup'] !== RBAC_GROUP) {
        errors.push(notSupported('roleRef.apiGroup', stringAt(ref, 'apiGroup'), [RBAC_GROUP]));
      }
      const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
      if (!kinds.includes(stringAt(ref, 'kind')))
        errors.push(notSupported('roleRef.kind', stringAt(ref, 'kind'), kinds));
      const name = stringAt(ref, 'name');
      if (name === '') errors.push(required('roleRef.name'));
      else addTexts(errors, 'roleRef.name', name, pathSegment(name));
      for (const [index, subject] of objectsAt(object, 'subjects').entries()) {
        validateSubject(errors, subject, `subjects[${index}]`, namespaced);
      }
      return errors;
    },
    validateUpdate: (object, old) =>
      equalJson(object['roleRef'], old['roleRef'])
        ? []
        : [invalid('roleRef', object['roleRef'], 'cannot change roleRef')],
  };
}

export const ROLE_RULES = roleRules(true);
export const CLUSTER_ROLE_RULES = roleRules(false);
export const ROLE_BINDING_RULES = bindingRules(true);
export const CLUSTER_ROLE_BINDING_RULES = bindingRules(false);
