import type { EndpointSlice } from '../src/api/kinds/endpoint-slice.ts';
import { objectKey, type KubeObject } from '../src/api/kinds/meta.ts';
import { mergeMembers, parseSlice, type ParsedSlice, type SliceMember } from './parse-slice.ts';

export interface SliceOwners {
  readonly services: readonly string[];
  readonly imports: readonly string[];
}

/** What stands behind one owner. */
export interface MergedSlices {
  readonly members: readonly SliceMember[];
  readonly triggerTimeMs: number;
}

type ByOwner = Map<string, Map<string, ParsedSlice>>;

const NOTHING: MergedSlices = { members: [], triggerTimeMs: 0 };

/** All slices by the Service or ServiceImport they belong to; a slice may move from one owner to another. */
export class SliceIndex {
  readonly #slices = new Map<string, ParsedSlice>();
  readonly #byService: ByOwner = new Map();
  readonly #byImport: ByOwner = new Map();

  /** Keeps the slice and says which owners it touches, those it left included. */
  upsert(slice: EndpointSlice): { owners: SliceOwners; oddities: readonly string[] } {
    const key = objectKey(slice);
    const parsed = parseSlice(slice);
    const before = this.#slices.get(key);
    this.#detach(key, before);
    this.#slices.set(key, parsed);
    attach(this.#byService, parsed.serviceKey, key, parsed);
    attach(this.#byImport, parsed.importKey, key, parsed);
    return { owners: owners(before, parsed), oddities: parsed.oddities };
  }

  remove(slice: KubeObject): SliceOwners {
    const key = objectKey(slice);
    const before = this.#slices.get(key);
    this.#detach(key, before);
    this.#slices.delete(key);
    return owners(before, undefined);
  }

  /** Slices labelled headless count only for headless services, as for kube-proxy. */
  behindService(key: string, headless: boolean): MergedSlices {
    return merge(this.#byService.get(key), headless);
  }

  behindImport(key: string): MergedSlices {
    return merge(this.#byImport.get(key), true);
  }

  #detach(key: string, parsed: ParsedSlice | undefined): void {
    detach(this.#byService, parsed?.serviceKey, key);
    detach(this.#byImport, parsed?.importKey, key);
  }
}

function owners(before: ParsedSlice | undefined, after: ParsedSlice | undefined): SliceOwners {
  const distinct = (a: string | undefined, b: string | undefined): string[] =>
    [...new Set([a, b])].filter((key) => key !== undefined);
  return {
    services: distinct(before?.serviceKey, after?.serviceKey),
    imports: distinct(before?.importKey, after?.importKey),
  };
}

function attach(index: ByOwner, owner: string | undefined, key: string, parsed: ParsedSlice): void {
  if (owner === undefined) return;
  const slices = index.get(owner);
  if (slices) slices.set(key, parsed);
  else index.set(owner, new Map([[key, parsed]]));
}

function detach(index: ByOwner, owner: string | undefined, key: string): void {
  if (owner === undefined) return;
  const slices = index.get(owner);
  slices?.delete(key);
  if (slices?.size === 0) index.delete(owner);
}

/** By name, so that the outcome does not depend on the order of arrival. */
function merge(slices: ReadonlyMap<string, ParsedSlice> | undefined, headless: boolean): MergedSlices {
  if (!slices) return NOTHING;
  const ordered =
    slices.size === 1
      ? [...slices.values()]
      : [...slices].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, parsed]) => parsed);
  const counted = headless ? ordered : ordered.filter((slice) => !slice.headless);
  let triggerTimeMs = 0;
  for (const slice of counted) triggerTimeMs = Math.max(triggerTimeMs, slice.triggerTimeMs);
  return { members: mergeMembers(counted), triggerTimeMs };
}
