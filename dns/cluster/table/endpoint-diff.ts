import type { Endpoint } from '../../../endpoints/endpoint.ts';

export interface EndpointChanges {
  /** Ready endpoints that were removed or replaced, as they were. */
  readonly gone: readonly Endpoint[];
  /** Ready endpoints that are new or replaced. */
  readonly fresh: readonly Endpoint[];
}

const FEW = 4;

/** How far apart the two lists may drift at one place before both sides are taken for changed. */
const LOOK_AHEAD = 8;

/**
 * What differs between two endpoint lists, whose equal members are equal objects in the same order mostly: one walk
 * over both, and work only where they differ.
 */
export function changedEndpoints(before: readonly Endpoint[], after: readonly Endpoint[]): EndpointChanges {
  const gone: Endpoint[] = [];
  const fresh: Endpoint[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length && j < after.length) {
    if (same(before[i]!, after[j]!)) {
      i++;
      j++;
      continue;
    }
    const skipBefore = distance(before, i, after[j]!);
    const skipAfter = skipBefore === 0 ? distance(after, j, before[i]!) : 0;
    if (skipBefore > 0) while (before[i] && !same(before[i]!, after[j]!)) gone.push(before[i++]!);
    else if (skipAfter > 0) while (after[j] && !same(before[i]!, after[j]!)) fresh.push(after[j++]!);
    else {
      gone.push(before[i++]!);
      fresh.push(after[j++]!);
    }
  }
  while (i < before.length) gone.push(before[i++]!);
  while (j < after.length) fresh.push(after[j++]!);
  return withoutCommon(gone, fresh);
}

/** How many steps from `at` on `wanted` comes; 0 = not near. */
function distance(list: readonly Endpoint[], at: number, wanted: Endpoint): number {
  for (let k = 1; k <= LOOK_AHEAD && at + k < list.length; k++) if (same(list[at + k]!, wanted)) return k;
  return 0;
}

/** Only ready endpoints count, and one that merely moved has not changed. */
function withoutCommon(before: readonly Endpoint[], after: readonly Endpoint[]): EndpointChanges {
  const gone = new Map<string, Endpoint[]>();
  for (const endpoint of before) if (endpoint.ready) push(gone, endpoint);
  const fresh = after.filter((endpoint) => endpoint.ready && !takeSame(gone, endpoint));
  return { gone: [...gone.values()].flat(), fresh };
}

export interface AddressChanges {
  /** Addresses without a ready endpoint now, with one before. */
  readonly goneAddresses: readonly string[];
  /** And the reverse. */
  readonly newAddresses: readonly string[];
}

export function changedAddresses(
  { gone, fresh }: EndpointChanges,
  before: readonly Endpoint[],
  after: readonly Endpoint[],
): AddressChanges {
  // An address may stand behind more than one endpoint, also outside of the part that differs.
  return { goneAddresses: addressesOf(gone, after), newAddresses: addressesOf(fresh, before) };
}

export function isBehind(endpoints: readonly Endpoint[], address: string): boolean {
  return endpoints.some((endpoint) => endpoint.ready && endpoint.address === address);
}

/** The distinct addresses of some endpoints that no ready one of `others` has. */
function addressesOf(endpoints: readonly Endpoint[], others: readonly Endpoint[]): string[] {
  const addresses = new Set(endpoints.map((endpoint) => endpoint.address));
  if (addresses.size > FEW) {
    for (const { ready, address } of others) if (ready) addresses.delete(address);
    return [...addresses];
  }
  // A change touches one or two: comparing is cheaper than hashing thousands.
  return [...addresses].filter((address) => !isBehind(others, address));
}

function same(a: Endpoint, b: Endpoint): boolean {
  return (
    a === b ||
    (a.address === b.address && a.ready === b.ready && a.hostname === b.hostname && a.podName === b.podName)
  );
}

function push(map: Map<string, Endpoint[]>, endpoint: Endpoint): void {
  const list = map.get(endpoint.address);
  if (list) list.push(endpoint);
  else map.set(endpoint.address, [endpoint]);
}

function takeSame(map: Map<string, Endpoint[]>, endpoint: Endpoint): boolean {
  const list = map.get(endpoint.address);
  const at = list?.findIndex((other) => same(other, endpoint)) ?? -1;
  if (at < 0) return false;
  list!.splice(at, 1);
  return true;
}
