import { isObject, stringAt } from '../../kinds/json-value.ts';
import { equalJson } from '../../kinds/json-value.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission/admission.ts';
import { forbidden, notFound } from '../status.ts';
import { type AccessAttributes, type Decision, MASTERS } from './authorizer.ts';
import type { Rbac } from './rbac.ts';
import { formatRule, type PolicyRule, rulesOf, uncovered } from './rules.ts';

const GROUP = 'rbac.authorization.k8s.io';

/**
 * Nobody gives away rights they do not have: a role may hold only what its writer holds (or may `escalate`),
 * a binding may refer only to roles whose rules its writer holds (or may `bind`).
 */
export function escalationCheck(deps: {
  readonly rbac: Rbac;
  readonly authorize: (attributes: AccessAttributes) => Promise<Decision>;
}): AdmissionPlugin {
  const may = async (
    request: AdmissionRequest,
    verb: string,
    resource: string,
    name: string,
  ): Promise<boolean> => {
    const decision = await deps.authorize({
      user: request.user,
      verb,
      group: GROUP,
      version: 'v1',
      resource,
      subresource: '',
      namespace: request.namespace,
      name,
      path: undefined,
      fieldSelector: '',
    });
    return decision.allowed;
  };
  return {
    name: 'RbacEscalation',
    async validate(request) {
      const { kind, object, old, user } = request;
      if (kind.group !== GROUP || !object || user.groups.includes(MASTERS)) return;
      if (kind.kind === 'Role' || kind.kind === 'ClusterRole') {
        const aggregates =
          isObject(object['aggregationRule']) &&
          !equalJson(object['aggregationRule'], old?.['aggregationRule']);
        if (old && !aggregates && equalJson(object['rules'], old['rules'])) return;
        if (await may(request, 'escalate', kind.plural, request.name)) return;
        if (aggregates)
          refuse(
            request,
            [EVERYTHING, EVERYWHERE],
            'must have cluster-admin privileges to use the aggregationRule',
          );
        check(request, deps.rbac, rulesOf(object));
        return;
      }
      const roleRef = object['roleRef'];
      if (old && equalJson(object['subjects'], old['subjects']) && equalJson(roleRef, old['roleRef'])) return;
      const resource = stringAt(roleRef, 'kind') === 'ClusterRole' ? 'clusterroles' : 'roles';
      if (await may(request, 'bind', resource, stringAt(roleRef, 'name'))) return;
      const rules = deps.rbac.rulesOfRef(roleRef, request.namespace);
      if (!rules) throw notFound({ group: GROUP, plural: resource }, stringAt(roleRef, 'name'));
      check(request, deps.rbac, rules);
    },
  };
}

const EVERYTHING: PolicyRule = {
  verbs: ['*'],
  apiGroups: ['*'],
  resources: ['*'],
  resourceNames: [],
  nonResourceURLs: [],
};
const EVERYWHERE: PolicyRule = {
  verbs: ['*'],
  apiGroups: [],
  resources: [],
  resourceNames: [],
  nonResourceURLs: ['*'],
};

function check(request: AdmissionRequest, rbac: Rbac, rules: readonly PolicyRule[]): void {
  const missing = uncovered(rbac.rulesFor(request.user, request.namespace), rules);
  if (missing.length > 0) refuse(request, missing, '');
}

function refuse(request: AdmissionRequest, missing: readonly PolicyRule[], detail: string): never {
  const { user, kind, name } = request;
  const groups = user.groups.map((group) => JSON.stringify(group)).join(' ');
  const rules = missing.map(formatRule).join('\n');
  const why = `user ${JSON.stringify(user.username)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${rules}`;
  throw forbidden(kind, name, detail ? `${detail}: ${why}` : why);
}
