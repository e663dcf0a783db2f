import { customNames } from '../../kinds/custom/custom-kind.ts';
import { type JsonObject, objectAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindInfo } from '../../kinds/registry.ts';

export function condition(type: string, holds: boolean, reason: string, message: string): JsonObject {
  return { type, status: holds ? 'True' : 'False', reason, message };
}

/** The first name of a definition that another kind of its group has; undefined when all are free. */
export function nameConflicts(
  definition: UnknownObject,
  others: readonly KindInfo[],
): { readonly reason: string; readonly message: string } | undefined {
  const group = stringAt(objectAt(definition, 'spec'), 'group');
  const names = customNames(definition);
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const other of others) {
    // Versions and aliases of the definition itself are replaced, not in its way.
    if (other.group !== group || other.plural === names.plural) continue;
    for (const name of [other.plural, other.singular, ...other.shortNames]) resources.add(name);
    kinds.add(other.kind).add(other.listKind);
  }
  const builtIn = others.some(
    (one) => one.group === group && (one.openApiSchema === undefined || one.virtual),
  );
  if (builtIn) return { reason: 'PluralConflict', message: `the group ${group} is built in` };
  const asked: readonly (readonly [reason: string, name: string, taken: ReadonlySet<string>])[] = [
    ['PluralConflict', names.plural, resources],
    ['SingularConflict', names.singular, resources],
    ...names.shortNames.map((name) => ['ShortNamesConflict', name, resources] as const),
    ['KindConflict', names.kind, kinds],
    ['ListKindConflict', names.listKind, kinds],
  ];
  const found = asked.find(([, name, taken]) => taken.has(name));
  return found && { reason: found[0], message: `${JSON.stringify(found[1])} is already in use` };
}
