import { valueAt } from '../../kinds/json-value.ts';
import type { KindInfo, KindRegistry } from '../../kinds/registry.ts';
import { forbidden, notFound, StatusError } from '../status.ts';
import type { ObjectStore } from '../verbs/object-store.ts';
import { SYSTEM_NAMESPACES } from '../bootstrap/system-objects.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const PROTECTED: ReadonlySet<string> = new Set(
  SYSTEM_NAMESPACES.filter((name) => name !== 'kube-node-lease'),
);

/** Nothing is created in a namespace that is missing or going away; the system's own cannot be deleted. */
export function namespaceLifecycle(deps: { objects: ObjectStore; registry: KindRegistry }): AdmissionPlugin {
  const namespaces = (): KindInfo | undefined => deps.registry.find('', 'v1', 'namespaces');
  return {
    name: 'NamespaceLifecycle',
    async admit(request) {
      if (request.operation === 'DELETE' && isNamespace(request) && PROTECTED.has(request.name)) {
        throw forbidden(request.kind, request.name, 'this namespace may not be deleted');
      }
      if (request.operation !== 'CREATE' || !request.kind.namespaced || isNamespace(request)) return;
      const kind = namespaces();
      if (!kind) return;
      let entry = deps.objects.get(kind, '', request.namespace);
      if (!entry) {
        await deps.objects.hub.fresh();
        entry = deps.objects.get(kind, '', request.namespace);
      }
      if (!entry) throw notFound(kind, request.namespace);
      if (valueAt(entry.object, 'status.phase') === 'Terminating') throw terminating(request);
    },
  };
}

const isNamespace = ({ kind }: AdmissionRequest): boolean => kind.kind === 'Namespace' && kind.group === '';

function terminating({ kind, name, namespace }: AdmissionRequest): StatusError {
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const error = forbidden(kind, name, why);
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  };
  return new StatusError(403, 'Forbidden', error.message, { ...error.details, causes: [cause] });
}
