import type { Node } from '../../api/kinds/node.ts';
import type { Container, Pod } from '../../api/kinds/pod.ts';
import { parseQuantity } from '../../api/kinds/quantity.ts';
import { isPodFinished } from '../pod-state.ts';

type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];
type Toleration = NonNullable<Pod['spec']['tolerations']>[number];

/** Amounts by resource name, exact: the quantity times 10^9. */
export type Amounts = ReadonlyMap<string, bigint>;

/** A node and what its pods take of it. */
export interface NodeLoad {
  readonly node: Node;
  readonly pods: readonly Pod[];
}

const UNSCHEDULABLE: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
const DEFAULT_MAX_PODS = 110n;
const NANO = 1_000_000_000n;

/** Why the pod cannot run on the node, as kube-scheduler words it; undefined when it can. */
export function unfitReason(pod: Pod, load: NodeLoad): string | undefined {
  const { node } = load;
  const repelling = nodeTaints(node).find(
    (taint) => taint.effect !== 'PreferNoSchedule' && !tolerates(pod.spec.tolerations, taint),
  );
  if (repelling) {
    return repelling === UNSCHEDULABLE
      ? 'node(s) were unschedulable'
      : `node(s) had untolerated taint {${repelling.key}: ${repelling.value ?? ''}}`;
  }
  if (!matchesNode(pod, node)) return "node(s) didn't match Pod's node affinity/selector";
  if (hasPortConflict(pod, load.pods)) return "node(s) didn't have free ports for the requested pod ports";
  return lackingResource(pod, load);
}

/** The node's taints and, when it is cordoned, the one that stands for that. */
export function nodeTaints(node: Node): readonly Taint[] {
  const taints = node.spec?.taints ?? [];
  return node.spec?.unschedulable ? [...taints, UNSCHEDULABLE] : taints;
}

/** A toleration with an empty key and Exists tolerates everything. */
export function tolerates(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some((toleration) => {
    if (toleration.effect && toleration.effect !== taint.effect) return false;
    if (toleration.key && toleration.key !== taint.key) return false;
    if (!toleration.key) return toleration.operator === 'Exists';
    return toleration.operator === 'Exists' || (toleration.value ?? '') === (taint.value ?? '');
  });
}

interface NodeSelectorTerm {
  readonly matchExpressions?: readonly Requirement[];
  readonly matchFields?: readonly Requirement[];
}

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** nodeSelector and required node affinity. */
export function matchesNode(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(pod.spec.nodeSelector ?? {}))
    if (labels[key] !== value) return false;
  const affinity = pod.spec.affinity as
    | {
        nodeAffinity?: {
          requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: NodeSelectorTerm[] };
        };
      }
    | undefined;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!required) return true;
  return (required.nodeSelectorTerms ?? []).some((term) => matchesTerm(term, node));
}

/** An empty term matches nothing. */
function matchesTerm(term: NodeSelectorTerm, node: Node): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  return (
    matchExpressions.every((one) => meets(one, labels[one.key])) &&
    matchFields.every((one) => meets(one, one.key === 'metadata.name' ? node.metadata.name : undefined))
  );
}

function meets({ operator, values = [] }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return Number(value) > Number(values[0]);
    case 'Lt':
      return Number(value) < Number(values[0]);
    default:
      return false;
  }
}

function hasPortConflict(pod: Pod, others: readonly Pod[]): boolean {
  const wanted = hostPorts(pod);
  return wanted.length > 0 && others.some((other) => hostPorts(other).some((port) => wanted.includes(port)));
}

function hostPorts(pod: Pod): string[] {
  return pod.spec.containers.flatMap((container) =>
    (container.ports ?? []).flatMap(({ hostPort, protocol = 'TCP' }) =>
      hostPort ? [`${hostPort}/${protocol}`] : [],
    ),
  );
}

function lackingResource(pod: Pod, load: NodeLoad): string | undefined {
  const allocatable = load.node.status?.allocatable ?? {};
  const present = load.pods.filter((other) => !isPodFinished(other));
  const maxPods = parseQuantity(allocatable.pods)?.nano ?? DEFAULT_MAX_PODS * NANO;
  if (BigInt(present.length + 1) * NANO > maxPods) return 'Too many pods';
  const requested = podRequests(pod);
  if (requested.size === 0) return undefined;
  const used = new Map<string, bigint>();
  for (const other of present) addAmounts(used, podRequests(other));
  for (const [name, amount] of requested) {
    if (amount === 0n) continue;
    const has = parseQuantity(allocatable[name])?.nano;
    // A node that does not say how much it has of an ordinary resource is not judged by it.
    if (has === undefined && (name === 'cpu' || name === 'memory' || name === 'ephemeral-storage')) continue;
    if ((used.get(name) ?? 0n) + amount > (has ?? 0n)) return `Insufficient ${name}`;
  }
  return undefined;
}

/** What the pod asks for: the sum over its containers and sidecars, or the largest init container if more. */
export function podRequests(pod: Pod): Amounts {
  const total = new Map<string, bigint>();
  for (const container of pod.spec.containers) addAmounts(total, requests(container));
  const sidecars = new Map<string, bigint>();
  const peak = new Map<string, bigint>();
  for (const container of pod.spec.initContainers ?? []) {
    if (container.restartPolicy === 'Always') addAmounts(sidecars, requests(container));
    else {
      const step = new Map(sidecars);
      addAmounts(step, requests(container));
      raise(peak, step);
    }
  }
  addAmounts(total, sidecars);
  raise(total, peak);
  return total;
}

function requests(container: Container): Amounts {
  const amounts = new Map<string, bigint>();
  for (const [name, text] of Object.entries(container.resources?.requests ?? {})) {
    const quantity = parseQuantity(text);
    if (quantity) amounts.set(name, quantity.nano);
  }
  return amounts;
}

function addAmounts(into: Map<string, bigint>, amounts: Amounts): void {
  for (const [name, amount] of amounts) into.set(name, (into.get(name) ?? 0n) + amount);
}

function raise(into: Map<string, bigint>, amounts: Amounts): void {
  for (const [name, amount] of amounts) if (amount > (into.get(name) ?? 0n)) into.set(name, amount);
}
