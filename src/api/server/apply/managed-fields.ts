import { formatTime } from '../../kinds/decode/time.ts';
import type { ManagedFieldsEntry, UnknownObject } from '../../kinds/meta.ts';
import { joinApiVersion } from '../../kinds/registry.ts';
import { MANAGED_UPDATES_MAX } from '../limits.ts';
import type { Core, WriteContext } from '../verbs/context.ts';
import {
  decodeFields,
  difference,
  differenceBelow,
  encodeFields,
  equalSets,
  FieldSet,
  union,
} from './field-set.ts';
import { compare, type Comparison } from './typed-value.ts';

/** One manager's claim. */
export interface Claim {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly set: FieldSet;
}

export const ANCIENT_CHANGES = 'ancient-changes';

/** Never tracked: identity, and what only the server writes. */
const UNTRACKED = ['f:apiVersion', 'f:kind'];
const UNTRACKED_METADATA = [
  'f:name',
  'f:namespace',
  'f:creationTimestamp',
  'f:selfLink',
  'f:uid',
  'f:generation',
  'f:managedFields',
  'f:resourceVersion',
  'f:deletionTimestamp',
  'f:deletionGracePeriodSeconds',
];

export function trackable(set: FieldSet): FieldSet {
  if (set.isEmpty) return set;
  const children = new Map(set.children);
  for (const name of UNTRACKED) children.delete(name);
  const metadata = children.get('f:metadata');
  if (metadata) {
    const kept = new Map(metadata.children);
    for (const name of UNTRACKED_METADATA) kept.delete(name);
    if (kept.size === 0) children.delete('f:metadata');
    else children.set('f:metadata', new FieldSet(false, kept));
  }
  return new FieldSet(set.member, children);
}

/** Undefined = nothing was ever tracked; entries that cannot be read are dropped. */
export function decodeClaims(entries: readonly ManagedFieldsEntry[] | undefined): Claim[] | undefined {
  if (!entries) return undefined;
  const claims: Claim[] = [];
  for (const entry of entries) {
    const set = entry.fieldsType === 'FieldsV1' ? decodeFields(entry.fieldsV1 ?? {}) : undefined;
    if (!set || (entry.operation !== 'Apply' && entry.operation !== 'Update')) continue;
    claims.push({
      manager: entry.manager ?? '',
      operation: entry.operation,
      apiVersion: entry.apiVersion ?? '',
      subresource: entry.subresource ?? '',
      time: entry.time ?? '',
      set,
    });
  }
  return claims;
}

export function encodeClaims(claims: readonly Claim[]): ManagedFieldsEntry[] {
  return [...claims].sort(byAge).map((claim) => ({
    manager: claim.manager,
    operation: claim.operation,
    apiVersion: claim.apiVersion,
    ...(claim.time && { time: claim.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: encodeFields(claim.set),
    ...(claim.subresource && { subresource: claim.subresource }),
  }));
}

function byAge(left: Claim, right: Claim): number {
  if (left.operation !== right.operation) return left.operation < right.operation ? -1 : 1;
  if (left.time !== right.time) return left.time < right.time ? -1 : 1;
  if (left.manager !== right.manager) return left.manager < right.manager ? -1 : 1;
  return left.subresource < right.subresource ? -1 : 1;
}

/** True for a list that asks to forget all managers: `[{}]`. */
export function isReset(entries: readonly ManagedFieldsEntry[] | undefined): boolean {
  return entries?.length === 1 && Object.keys(entries[0]!).length === 0;
}

export interface Writer {
  readonly manager: string;
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
}

export function writerOf(core: Core, { kind, fieldManager, subresource }: WriteContext): Writer {
  return {
    manager: fieldManager,
    apiVersion: joinApiVersion(kind.group, kind.version),
    subresource,
    time: formatTime(core.clock.nowMs()),
  };
}

/**
 * Sets metadata.managedFields of `object` for a plain write: what changed belongs to the writer, and to nobody else.
 * `old` undefined = the object is new.
 */
export function trackUpdate(
  core: Core,
  context: WriteContext,
  old: UnknownObject | undefined,
  object: UnknownObject,
): void {
  const given = object.metadata.managedFields;
  if (old && !old.metadata.managedFields?.length && !given?.length) {
    delete object.metadata.managedFields;
    return;
  }
  const reset = isReset(given);
  const base = reset ? [] : (decodeClaims(given?.length ? given : old?.metadata.managedFields) ?? []);
  const changes = compare(old ?? {}, object, context.kind.schema);
  const claims = claimChanges(base, changes, writerOf(core, context), !reset);
  if (claims.length > 0) object.metadata.managedFields = encodeClaims(capUpdates(claims));
  else delete object.metadata.managedFields;
}

function claimChanges(base: readonly Claim[], changes: Comparison, writer: Writer, claim: boolean): Claim[] {
  const taken = trackable(union(changes.added, changes.modified));
  const gone = trackable(changes.removed);
  const isOwn = (entry: Claim): boolean =>
    entry.operation === 'Update' &&
    entry.manager === writer.manager &&
    entry.apiVersion === writer.apiVersion &&
    entry.subresource === writer.subresource;
  const claims = base
    .map((entry) => {
      const kept = differenceBelow(isOwn(entry) ? entry.set : difference(entry.set, taken), gone);
      return equalSets(kept, entry.set) ? entry : { ...entry, set: kept };
    })
    .filter((entry) => !entry.set.isEmpty);
  if (!claim || taken.isEmpty) return claims;
  const index = claims.findIndex(isOwn);
  const own = claims[index];
  const set = own ? union(own.set, taken) : taken;
  const entry: Claim = { ...writer, operation: 'Update', set };
  if (!own) claims.push(entry);
  else claims[index] = equalSets(set, own.set) ? { ...own, time: writer.time } : entry;
  return claims;
}

/** At most so many Update entries: the oldest are folded into one a version. */
export function capUpdates(claims: readonly Claim[]): Claim[] {
  const updates = claims
    .filter((claim) => claim.operation === 'Update' && claim.subresource === '')
    .sort((left, right) => (left.time < right.time ? -1 : left.time > right.time ? 1 : 0));
  const excess = updates.length - MANAGED_UPDATES_MAX;
  if (excess <= 0) return [...claims];
  const folded = new Set<Claim>();
  const ancient = new Map<string, Claim>();
  // One more than the excess: the folded entry needs a place itself.
  for (const claim of updates.slice(0, excess + 1)) {
    folded.add(claim);
    const known = ancient.get(claim.apiVersion);
    ancient.set(claim.apiVersion, {
      ...claim,
      manager: ANCIENT_CHANGES,
      set: known ? union(known.set, claim.set) : claim.set,
    });
  }
  return [...claims.filter((claim) => !folded.has(claim)), ...ancient.values()];
}
