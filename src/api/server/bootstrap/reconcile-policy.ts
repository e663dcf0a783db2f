import { cloneJson, equalJson, objectsAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { labelQueryOf, matchesLabels } from '../../kinds/selector.ts';
import { rulesOf, uncovered } from '../authorize/rules.ts';
import type { Core } from '../verbs/context.ts';
import {
  type BootstrapBinding,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  ROLE_BINDINGS,
  ROLES,
} from './policy.ts';
import type { BootstrapRole } from './policy/roles.ts';
import { ensureObject } from './system-objects.ts';

const GROUP = 'rbac.authorization.k8s.io';
const API_VERSION = `${GROUP}/v1`;
const LABELS = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

/**
 * Creates the default roles and bindings that are missing and gives back to old ones what they lack, unless
 * their annotation says to leave them. What somebody added stays.
 */
export async function reconcilePolicy(core: Core): Promise<void> {
  const roles = [...CLUSTER_ROLES, ...ROLES].map(roleObject);
  const bindings = [...CLUSTER_ROLE_BINDINGS, ...ROLE_BINDINGS].map(bindingObject);
  await Promise.all([
    ...roles.map((role) => reconcile(core, role, mendRole)),
    ...bindings.map((binding) => reconcile(core, binding, mendBinding)),
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
    roleRef: { apiGroup: GROUP, kind: binding.namespace ? 'Role' : 'ClusterRole', name: binding.role },
    ...(binding.subjects.length > 0 && { subjects: binding.subjects.map(subjectObject) }),
  };
}

function subjectObject(subject: BootstrapBinding['subjects'][number]): object {
  return subject.kind === 'ServiceAccount' ? subject : { apiGroup: GROUP, ...subject };
}

type Mend = (old: UnknownObject, expected: UnknownObject) => UnknownObject;

async function reconcile(core: Core, expected: UnknownObject, mend: Mend): Promise<void> {
  const kind = core.registry.findByKind(API_VERSION, expected.kind);
  if (!kind) return;
  const { name, namespace = '' } = expected.metadata;
  const entry = core.objects.get(kind, namespace, name);
  if (!entry) return await ensureObject(core, expected);
  const { object: old, revision } = entry;
  if (old.metadata.annotations?.[AUTOUPDATE] === 'false') return;
  const { labels, annotations } = expected.metadata;
  const metadata = {
    ...old.metadata,
    labels: { ...labels, ...old.metadata.labels },
    annotations: { ...annotations, ...old.metadata.annotations },
  };
  const next = mend({ ...old, metadata }, expected);
  if (!equalJson(next, old)) await core.objects.put(kind, namespace, name, next, revision);
}

/** With each single right it does not grant, and the selectors it does not have. */
function mendRole(old: UnknownObject, expected: UnknownObject): UnknownObject {
  if (expected['aggregationRule']) {
    const [has, wanted] = [old, expected].map((role) =>
      objectsAt(role['aggregationRule'], 'clusterRoleSelectors'),
    );
    const aggregationRule = { clusterRoleSelectors: union(has, wanted) };
    return { ...old, aggregationRule };
  }
  const lacking = uncovered(rulesOf(old), rulesOf(expected)).map((rule) =>
    Object.fromEntries(Object.entries(rule).filter(([, list]) => list.length > 0)),
  );
  return { ...old, rules: [...objectsAt(old, 'rules'), ...lacking] };
}

/** With the subjects it does not have; a binding to another role is made anew. */
function mendBinding(old: UnknownObject, expected: UnknownObject): UnknownObject {
  if (!equalJson(old['roleRef'], expected['roleRef'])) return { ...expected, metadata: old.metadata };
  const subjects = union(objectsAt(old, 'subjects'), objectsAt(expected, 'subjects'));
  return { ...old, ...(subjects.length > 0 && { subjects }) };
}

function union(has: readonly unknown[] = [], wanted: readonly unknown[] = []): unknown[] {
  return [...has, ...wanted.filter((one) => !has.some((other) => equalJson(one, other)))];
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
