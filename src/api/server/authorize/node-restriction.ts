import { equalJson, objectAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission/admission.ts';
import { forbidden } from '../status.ts';
import { nodeNameOf } from './node.ts';
import { anyReference } from './pod-references.ts';

const MIRROR = 'kubernetes.io/config.mirror';
const NODE_LEASES = 'kube-node-lease';

/**
 * A kubelet writes its own Node, Lease and pods only, cannot steer workloads to itself by labels or taints, and makes
 * no pod that would give it a right to somebody's Secret (upstream's NodeRestriction).
 */
export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  validate(request) {
    const node = nodeNameOf(request.user);
    if (node === undefined) return;
    const { kind } = request;
    const why =
      kind.group === '' && kind.kind === 'Node'
        ? nodeFault(request, node)
        : kind.group === '' && kind.kind === 'Pod'
          ? podFault(request, node)
          : kind.group === 'coordination.k8s.io' && kind.kind === 'Lease'
            ? leaseFault(request, node)
            : undefined;
    if (why !== undefined) throw forbidden(kind, request.name, why);
  },
};

const quoted = (text: string): string => JSON.stringify(text);

function nodeFault({ operation, object, old, name }: AdmissionRequest, node: string): string | undefined {
  if (name !== node) return `node ${quoted(node)} is not allowed to modify node ${quoted(name)}`;
  if (operation === 'DELETE') return 'nodes may not delete themselves';
  const labels = restrictedLabels(object, old);
  if (labels.length > 0) {
    return `node ${quoted(node)} is not allowed to modify labels: ${labels.join(', ')}`;
  }
  if (!old || !object) return undefined;
  if (!equalJson(objectAt(object, 'spec')['taints'] ?? [], objectAt(old, 'spec')['taints'] ?? [])) {
    return `node ${quoted(node)} is not allowed to modify taints`;
  }
  if (!equalJson(object.metadata.ownerReferences ?? [], old.metadata.ownerReferences ?? [])) {
    return `node ${quoted(node)} is not allowed to modify ownerReferences`;
  }
  return undefined;
}

function podFault({ operation, object, old }: AdmissionRequest, node: string): string | undefined {
  const pod = old ?? object;
  if (stringAt(pod?.['spec'], 'nodeName') !== node) {
    return `node ${quoted(node)} can only ${verbOf(operation)} pods with spec.nodeName set to itself`;
  }
  if (operation !== 'CREATE' || !pod) return undefined;
  if (!pod.metadata.annotations?.[MIRROR]) {
    return `pod does not have ${quoted(MIRROR)} annotation, node ${quoted(node)} can only create mirror pods`;
  }
  const reference = anyReference(pod);
  return reference && `node ${quoted(node)} can not create pods that reference ${reference}`;
}

function leaseFault({ operation, namespace, name }: AdmissionRequest, node: string): string | undefined {
  if (namespace === NODE_LEASES && name === node) return undefined;
  return `node ${quoted(node)} can only ${verbOf(operation)} the lease of its own name in ${quoted(NODE_LEASES)}`;
}

const verbOf = (operation: string): string =>
  operation === 'CREATE' ? 'create' : operation === 'DELETE' ? 'delete' : 'update';

/** Labels of Kubernetes' own names that a kubelet may give itself (kubelet's --node-labels). */
const KUBELET_LABELS: ReadonlySet<string> = new Set([
  'kubernetes.io/arch',
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'beta.kubernetes.io/os',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
]);
const KUBELET_NAMESPACES = /^(?:[^/]*\.)?(?:kubelet|node)\.kubernetes\.io\//;
const KUBERNETES = /^(?:[^/]*\.)?(?:kubernetes|k8s)\.io\//;
const RESTRICTED = /^(?:[^/]*\.)?node-restriction\.kubernetes\.io\//;

function restrictedLabels(object: UnknownObject | undefined, old: UnknownObject | undefined): string[] {
  const [now, before] = [object?.metadata.labels ?? {}, old?.metadata.labels ?? {}];
  const keys = new Set([...Object.keys(now), ...Object.keys(before)]);
  return [...keys].filter((key) => now[key] !== before[key] && !mayLabel(key));
}

function mayLabel(key: string): boolean {
  if (RESTRICTED.test(key)) return false;
  return !KUBERNETES.test(key) || KUBELET_LABELS.has(key) || KUBELET_NAMESPACES.test(key);
}
