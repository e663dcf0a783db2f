import { randomUUID } from 'node:crypto';
import { formatTime } from '../../kinds/decode/time.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { Core } from '../verbs/context.ts';

export const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const;

/** A new object with what the server fills in; written past admission, as these exist before any rule does. */
export function systemObject(core: Core, object: UnknownObject): UnknownObject {
  const { name, namespace, ...rest } = object.metadata;
  return {
    ...object,
    metadata: {
      name,
      ...(namespace && { namespace }),
      uid: randomUUID(),
      creationTimestamp: formatTime(core.clock.nowMs()),
      ...rest,
    },
  };
}

/** Creates the object unless there is one of that name. */
export async function ensureObject(core: Core, object: UnknownObject): Promise<void> {
  const kind = core.registry.findByKind(object.apiVersion, object.kind);
  if (!kind) return;
  const { name, namespace = '' } = object.metadata;
  if (core.objects.get(kind, namespace, name)) return;
  const made = systemObject(core, object);
  kind.defaults(made);
  await core.objects.put(kind, namespace, name, made, 0);
}

export async function ensureNamespaces(core: Core): Promise<void> {
  await Promise.all(
    SYSTEM_NAMESPACES.map((name) =>
      ensureObject(core, {
        kind: 'Namespace',
        apiVersion: 'v1',
        metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
      }),
    ),
  );
}
