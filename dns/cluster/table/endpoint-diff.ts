import type { Endpoint } from '../../../endpoints/endpoint.ts';

export interface EndpointChanges {
  /** Ready endpoints that were removed or replaced, as they were. */
  readonly gone: readonly Endpoint[];
  /** Ready endpoints that are new or replaced. */
  readonly fresh: readonly Endpoint[];
}

/** What differs between two endpoint lists; unchanged endpoints are the same objects or equal ones. */
export function changedEndpoints(before: readonly Endpoint[], after: readonly Endpoint[]): EndpointChanges {
  // A change touches few neighbours: the equal ends need no looking at.
  let start = 0;
  while (start < before.length && start < after.length && same(before[start]!, after[start]!)) start++;
  let endBefore = before.length;
  let endAfter = after.length;
  while (endBefore > start && endAfter > start && same(before[endBefore - 1]!, after[endAfter - 1]!)) {
    endBefore--;
    endAfter--;
  }
  const gone = new Map<string, Endpoint[]>();
  for (let i = start; i < endBefore; i++) if (before[i]!.ready) push(gone, before[i]!);
  const fresh: Endpoint[] = [];
  for (let i = start; i < endAfter; i++) {
    const endpoint = after[i]!;
    if (endpoint.ready && !takeSame(gone, endpoint)) fresh.push(endpoint);
  }
  return { gone: [...gone.values()].flat(), fresh };
}

export interface AddressChanges {
  /** Addresses without a ready endpoint now, with one before. */
  readonly goneAddresses: readonly string[];
  /** And the reverse. */
  readonly newAddresses: readonly string[];
}

export function changedAddresses(before: readonly Endpoint[], after: readonly Endpoint[]): AddressChanges {
  const { gone, fresh } = changedEndpoints(before, after);
  // An address may stand behind more than one endpoint, also outside of the part that differs.
  return { goneAddresses: addressesOf(gone, after), newAddresses: addressesOf(fresh, before) };
}

export function isBehind(endpoints: readonly Endpoint[], address: string): boolean {
  return endpoints.some((endpoint) => endpoint.ready && endpoint.address === address);
}

/** The distinct addresses of some endpoints that no ready one of `others` has. */
function addressesOf(endpoints: readonly Endpoint[], others: readonly Endpoint[]): string[] {
  const addresses = new Set(endpoints.map((endpoint) => endpoint.address));
  if (addresses.size > 0) for (const { ready, address } of others) if (ready) addresses.delete(address);
  return [...addresses];
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
