import type { EndpointSlice, SliceEndpoint } from '../../src/api/kinds/endpoint-slice.ts';
import type { OwnerReference } from '../../src/api/kinds/meta.ts';
import { sameValue } from '../../src/base/same-value.ts';
import type { Family } from '../../src/net/ip.ts';
import { type DesiredSet, portMapKey } from './desired.ts';

/** Endpoints a slice holds before another one is started (kube-controller-manager's default; API limit 1000). */
export const MAX_ENDPOINTS_PER_SLICE = 100;

const TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';

/** What every slice of one service shares. */
export interface SliceTemplate {
  readonly namespace: string;
  /** Names become `NAMEPREFIX-xxxxx`. */
  readonly namePrefix: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
  /** Slices of other families are removed. */
  readonly families: readonly Family[];
  /** RFC 3339; written to the slices that change. */
  readonly triggerTime?: string;
  readonly maxEndpoints?: number;
}

export interface SlicePlan {
  /** With metadata.generateName. */
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

interface Working {
  /** Undefined for a slice to be made. */
  readonly slice: EndpointSlice | undefined;
  readonly set: DesiredSet;
  readonly endpoints: SliceEndpoint[];
}

interface FamilyPlan {
  readonly changed: Working[];
  readonly unchanged: EndpointSlice[];
  readonly obsolete: EndpointSlice[];
}

/**
 * The fewest writes that make the existing slices hold the desired sets (KEP-752): (1) update and remove in
 * place; (2) put additions into slices that change anyway, fullest first; (3) the rest into the one unchanged
 * slice it fits best, else into new slices. Nothing is rebalanced. A creation and a removal of one family
 * become one update. A family without endpoints keeps one placeholder slice.
 */
export function planSlices(
  existing: readonly EndpointSlice[],
  desired: readonly DesiredSet[],
  template: SliceTemplate,
): SlicePlan {
  const create: EndpointSlice[] = [];
  const update: EndpointSlice[] = [];
  const remove = existing.filter((slice) => !template.families.includes(slice.addressType as Family));
  for (const family of template.families) {
    const mine = existing.filter((slice) => slice.addressType === family);
    const sets = desired.filter((set) => set.addressType === family);
    const plan = planFamily(mine, sets, family, template);
    for (const working of plan.changed) {
      // A slice that would go lends its name to one that would come.
      const base = working.slice ?? plan.obsolete.pop();
      if (base) update.push(rewritten(base, working, template));
      else create.push(fresh(working, template));
    }
    remove.push(...plan.obsolete);
  }
  return { create, update, remove };
}

function planFamily(
  existing: readonly EndpointSlice[],
  sets: readonly DesiredSet[],
  family: Family,
  template: SliceTemplate,
): FamilyPlan {
  const plan: FamilyPlan = { changed: [], unchanged: [], obsolete: [] };
  const groups = new Map<string, EndpointSlice[]>();
  for (const slice of existing) {
    const key = portMapKey(slice.ports ?? []);
    const group = groups.get(key);
    if (group) group.push(slice);
    else groups.set(key, [slice]);
  }
  for (const set of sets) {
    const key = portMapKey(set.ports);
    planSet(groups.get(key) ?? [], set, template, plan);
    groups.delete(key);
  }
  for (const group of groups.values()) plan.obsolete.push(...group);
  if (sets.length === 0) keepPlaceholder(plan, family, template);
  return plan;
}

/** With nothing to hold, one empty slice stays, so that readers can tell "none" from "not known". */
function keepPlaceholder(plan: FamilyPlan, family: Family, template: SliceTemplate): void {
  const at = plan.obsolete.findIndex(
    (slice) => !slice.endpoints?.length && !slice.ports?.length && hasMetadata(slice, template),
  );
  if (at >= 0) plan.unchanged.push(...plan.obsolete.splice(at, 1));
  else {
    const set: DesiredSet = { addressType: family, ports: [], endpoints: [] };
    plan.changed.push({ slice: undefined, set, endpoints: [] });
  }
}

function planSet(
  existing: readonly EndpointSlice[],
  set: DesiredSet,
  template: SliceTemplate,
  plan: FamilyPlan,
): void {
  const missing = new Map(set.endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  const max = template.maxEndpoints ?? MAX_ENDPOINTS_PER_SLICE;
  const changing: Working[] = [];
  const unchanged: EndpointSlice[] = [];
  for (const slice of existing) {
    const endpoints = takeKept(slice, missing, max);
    const same = sameValue(endpoints, slice.endpoints ?? []) && hasMetadata(slice, template);
    if (endpoints.length === 0) plan.obsolete.push(slice);
    else if (same) unchanged.push(slice);
    else changing.push({ slice, set, endpoints });
  }
  const rest = [...missing.values()];
  changing.sort((a, b) => b.endpoints.length - a.endpoints.length);
  for (const working of changing) {
    working.endpoints.push(...rest.splice(0, max - working.endpoints.length));
  }
  while (rest.length > 0) {
    const fit = rest.length < max ? bestFit(unchanged, rest.length, max) : undefined;
    if (fit) unchanged.splice(unchanged.indexOf(fit), 1);
    const endpoints = [...(fit?.endpoints ?? [])];
    endpoints.push(...rest.splice(0, max - endpoints.length));
    changing.push({ slice: fit, set, endpoints });
  }
  plan.changed.push(...changing);
  plan.unchanged.push(...unchanged);
}

/** The slice's endpoints that are still wanted, in their newest form; they are no longer missing then. */
function takeKept(slice: EndpointSlice, missing: Map<string, SliceEndpoint>, max: number): SliceEndpoint[] {
  const kept: SliceEndpoint[] = [];
  for (const endpoint of slice.endpoints ?? []) {
    const key = endpointKey(endpoint);
    const wanted = missing.get(key);
    if (!wanted || kept.length === max) continue;
    missing.delete(key);
    kept.push(wanted);
  }
  return kept;
}

/** The fullest slice that still has room for all of count. */
function bestFit(slices: readonly EndpointSlice[], count: number, max: number): EndpointSlice | undefined {
  let best: EndpointSlice | undefined;
  for (const slice of slices) {
    const size = slice.endpoints?.length ?? 0;
    if (size + count <= max && (!best || size > (best.endpoints?.length ?? 0))) best = slice;
  }
  return best;
}

/** Address and pod: a pod that was replaced at the same address is another endpoint. */
function endpointKey(endpoint: SliceEndpoint): string {
  return `${endpoint.addresses.join(',')} ${endpoint.targetRef?.uid ?? ''} ${endpoint.targetRef?.name ?? ''}`;
}

function hasMetadata(slice: EndpointSlice, template: SliceTemplate): boolean {
  const { [TRIGGER_TIME]: _, ...annotations } = slice.metadata.annotations ?? {};
  return (
    sameValue(slice.metadata.labels ?? {}, template.labels) &&
    sameValue(annotations, template.annotations ?? {}) &&
    sameValue(slice.metadata.ownerReferences ?? [], template.ownerReferences)
  );
}

function rewritten(slice: EndpointSlice, working: Working, template: SliceTemplate): EndpointSlice {
  return { ...slice, ...content(working), metadata: { ...slice.metadata, ...metadata(template) } };
}

function fresh(working: Working, template: SliceTemplate): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: '',
      generateName: `${template.namePrefix}-`,
      namespace: template.namespace,
      ...metadata(template),
    },
    addressType: working.set.addressType,
    ...content(working),
  };
}

function content(working: Working): Pick<EndpointSlice, 'endpoints' | 'ports'> {
  return { endpoints: working.endpoints, ports: [...working.set.ports] };
}

function metadata(template: SliceTemplate): {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  ownerReferences: OwnerReference[];
} {
  const { triggerTime } = template;
  return {
    labels: { ...template.labels },
    annotations: { ...template.annotations, ...(triggerTime && { [TRIGGER_TIME]: triggerTime }) },
    ownerReferences: [...template.ownerReferences],
  };
}
