import { cloneJson, equalJson } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { Schema } from '../../kinds/schema/schema.ts';
import { StatusError, type StatusCause } from '../status.ts';
import {
  difference,
  differenceBelow,
  equalSets,
  FieldSet,
  formatPath,
  intersection,
  paths,
  union,
} from './field-set.ts';
import {
  capUpdates,
  type Claim,
  decodeClaims,
  encodeClaims,
  trackable,
  type Writer,
} from './managed-fields.ts';
import { compare, merge, removePaths, toFieldSet } from './typed-value.ts';

export interface ApplyOptions {
  readonly schema: Schema;
  readonly writer: Writer;
  readonly force: boolean;
  /** First-level names the endpoint writes: /status only `status`, the main resource all but `status`. */
  readonly keeps: (set: FieldSet) => FieldSet;
}

/** Manager of everything that was there before the first apply. */
const BEFORE_FIRST_APPLY = 'before-first-apply';

/**
 * Server-side apply (KEP-555): the merge of a configuration into the live object, with the new managedFields.
 * Throws 409 with one cause a field when another manager owns a field with a different value.
 * `live` undefined = nothing is there yet. Nothing is shared with the arguments.
 */
export function apply(
  live: UnknownObject | undefined,
  configuration: UnknownObject,
  options: ApplyOptions,
): UnknownObject {
  const { schema, writer, force } = options;
  const claims = claimsOf(live, options);
  const isOwn = (claim: Claim): boolean =>
    claim.operation === 'Apply' &&
    claim.manager === writer.manager &&
    claim.subresource === writer.subresource;
  const own = claims.find(isOwn);
  const set = options.keeps(trackable(toFieldSet(configuration, schema)));
  const merged = merge(live ?? {}, configuration, schema) as UnknownObject;
  const others = claims.filter((claim) => !isOwn(claim));
  const object = prune(merged, own?.set, set, others, schema);
  const next = resolveConflicts(live, object, others, set, { ...options, force });
  const unchanged = own && equalSets(own.set, set);
  if (!set.isEmpty) {
    next.push({ ...writer, operation: 'Apply', set, time: unchanged ? own.time : writer.time });
  }
  object.metadata.managedFields = encodeClaims(capUpdates(next));
  return live && isSame(live, object) ? cloneJson(live) : object;
}

function claimsOf(live: UnknownObject | undefined, { schema, writer }: ApplyOptions): Claim[] {
  const claims = decodeClaims(live?.metadata.managedFields);
  if (claims?.length || !live) return claims ?? [];
  const set = trackable(compare({}, live, schema).added);
  return [{ ...writer, manager: BEFORE_FIRST_APPLY, operation: 'Update', subresource: '', set }];
}

/** Removes what the manager applied before, applies no more, and nobody else owns. */
function prune(
  merged: UnknownObject,
  last: FieldSet | undefined,
  set: FieldSet,
  others: readonly Claim[],
  schema: Schema,
): UnknownObject {
  if (!last) return merged;
  let owned = set;
  for (const claim of others) owned = union(owned, claim.set);
  const dropped = unowned(last, owned);
  return removePaths(merged, dropped, schema) as UnknownObject;
}

/** Paths of last that are not owned and have nothing owned below them. */
function unowned(last: FieldSet, owned: FieldSet | undefined): FieldSet {
  const result = new FieldSet(last.member && (owned === undefined || owned.isEmpty));
  if (owned?.member && last.member && last.children.size === 0) return result;
  for (const [element, child] of last.children)
    result.put(element, unowned(child, owned?.children.get(element)));
  return result;
}

function resolveConflicts(
  live: UnknownObject | undefined,
  object: UnknownObject,
  others: readonly Claim[],
  set: FieldSet,
  options: ApplyOptions,
): Claim[] {
  const changes = compare(live ?? {}, object, options.schema);
  const changed = trackable(union(changes.added, changes.modified));
  const gone = trackable(changes.removed);
  const conflicts: { claim: Claim; set: FieldSet }[] = [];
  for (const claim of others) {
    const conflict = intersection(intersection(claim.set, changed), set);
    if (!conflict.isEmpty) conflicts.push({ claim, set: conflict });
  }
  if (conflicts.length > 0 && !options.force) throw conflictError(conflicts);
  return others
    .map((claim) => {
      const conflict = conflicts.find((one) => one.claim === claim);
      const kept = differenceBelow(conflict ? difference(claim.set, conflict.set) : claim.set, gone);
      return equalSets(kept, claim.set) ? claim : { ...claim, set: kept };
    })
    .filter((claim) => !claim.set.isEmpty);
}

function conflictError(conflicts: readonly { claim: Claim; set: FieldSet }[]): StatusError {
  const causes: StatusCause[] = [];
  for (const { claim, set } of conflicts) {
    for (const path of paths(set)) {
      causes.push({
        reason: 'FieldManagerConflict',
        message: `conflict with ${describe(claim)}`,
        field: formatPath(path),
      });
    }
  }
  return new StatusError(409, 'Conflict', conflictMessage(conflicts, causes), { causes });
}

function describe(claim: Claim): string {
  const name = JSON.stringify(claim.manager);
  const who = claim.subresource ? `${name} with subresource ${JSON.stringify(claim.subresource)}` : name;
  if (claim.operation === 'Apply') return who;
  return `${who} using ${claim.apiVersion}`;
}

function conflictMessage(
  conflicts: readonly { claim: Claim; set: FieldSet }[],
  causes: readonly StatusCause[],
): string {
  const [first] = causes;
  if (causes.length === 1 && first) return `Apply failed with 1 conflict: ${first.message}: ${first.field}`;
  const lines = conflicts.flatMap(({ claim, set }) => [
    `conflicts with ${describe(claim)}:`,
    ...[...paths(set)].map((path) => `- ${formatPath(path)}`),
  ]);
  return `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`;
}

/** The same but for the times of claims. */
function isSame(live: UnknownObject, object: UnknownObject): boolean {
  const { metadata: one, ...left } = live;
  const { metadata: two, ...right } = object;
  const { managedFields: before, ...oneRest } = one;
  const { managedFields: after, ...twoRest } = two;
  if (!equalJson(left, right) || !equalJson(oneRest, twoRest)) return false;
  const timeless = (entries: typeof before): unknown => entries?.map((entry) => ({ ...entry, time: '' }));
  return equalJson(timeless(before), timeless(after));
}
