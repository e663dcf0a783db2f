import { cloneJson, equalJson, objectsAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { labelQueryOf, matchesLabels } from '../../kinds/selector.ts';
import { rulesOf, uncovered } from '../authorize/rules.ts';
import type { Core } from '../verbs/context.ts';
import {
  type BootstrapBinding,
  type BootstrapRole,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  ROLE_BINDINGS,
  ROLES,
} from './policy.ts';
import { ensureObject } from './system-objects.ts';

const GROUP = 'rbac.authorization.k8s.io';
const API_VERSION = `${GROUP}/v1`;
const LABELS = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

/** Creates the default roles and bindings that are missing and adds rules old ones lack, unless told to leave them. */
export async function reconcilePolicy(core: Core): Promise<void> {
  await Promise.all([
    ...[...CLUSTER_ROLES, ...ROLES].map((role) => reconcileRole(core, roleObject(role))),
    ...[...CLUSTER_ROLE_BINDINGS, ...ROLE_BINDINGS].map((binding) =>
      ensureObject(core, bindingObject(binding)),
    ),
  ]);
  await aggregate(core);
}

function metadataOf(of: { name: string; namespace?: string; labels?: object }): UnknownObject['metadata'] {
  return {
    name: of.name,
    ...(of.namespace && { namespace: of.namespace }),
    labels: { ...LABELS, ...of.labels },
    annotations: { [AUTOUPDATE]: 'true' },
  };
}

function roleObject(role: BootstrapRole): UnknownObject {
  return {
    kind: role.namespace ? 'Role' : 'ClusterRole',
    apiVersion: API_VERSION,
    metadata: metadataOf(role),
    rules: cloneJson(role.rules ?? []),
    ...(role.aggregates && {
      aggregationRule: { clusterRoleSelectors: role.aggregates.map((matchLabels) => ({ matchLabels })) },
    }),
  };
}

function bindingObject(binding: BootstrapBinding): UnknownObject {
  return {
    kind: binding.namespace ? 'RoleBinding' : 'ClusterRoleBinding',
    apiVersion: API_VERSION,
    metadata: metadataOf(binding),
    roleRef: { apiGroup: GROUP, kind: binding.roleKind ?? 'ClusterRole', name: binding.role },
    subjects: binding.subjects.map((subject) =>
      subject.kind === 'ServiceAccount' ? subject : { apiGroup: GROUP, ...subject },
    ),
  };
}

async function reconcileRole(core: Core, role: UnknownObject): Promise<void> {
  const kind = core.registry.findByKind(API_VERSION, role.kind);
  if (!kind) return;
  const { name, namespace = '' } = role.metadata;
  const entry = core.objects.get(kind, namespace, name);
  if (!entry) return await ensureObject(core, role);
  if (role['aggregationRule'] || entry.object.metadata.annotations?.[AUTOUPDATE] === 'false') return;
  const missing = uncovered(rulesOf(entry.object), rulesOf(role));
  if (missing.length === 0) return;
  const object = {
    ...entry.object,
    rules: [...objectsAt(entry.object, 'rules'), ...objectsAt(role, 'rules')],
  };
  await core.objects.put(kind, namespace, name, object, entry.revision);
}

/** Writes the sum of the selected roles into each role with an aggregationRule; inner ones first, until nothing changes. */
export async function aggregate(core: Core): Promise<void> {
  const kind = core.registry.find(GROUP, 'v1', 'clusterroles');
  if (!kind) return;
  for (let changed = true, round = 0; changed && round < 8; round++) {
    changed = false;
    await core.objects.hub.fresh();
    const roles = [...core.objects.cacheOf(kind).range(core.objects.prefixOf(kind, ''))];
    for (const entry of roles) {
      const rule = entry.object['aggregationRule'];
      if (rule === undefined || rule === null) continue;
      const queries = objectsAt(rule, 'clusterRoleSelectors').map((selector) => labelQueryOf(selector) ?? []);
      const rules: unknown[] = [];
      for (const other of roles) {
        if (other === entry || !queries.some((query) => matchesLabels(query, other.object.metadata.labels)))
          continue;
        for (const one of objectsAt(other.object, 'rules')) {
          if (!rules.some((known) => equalJson(known, one))) rules.push(one);
        }
      }
      if (equalJson(rules, entry.object['rules'] ?? [])) continue;
      const result = await core.objects.put(kind, '', entry.name, { ...entry.object, rules }, entry.revision);
      changed ||= result.ok;
    }
  }
}
