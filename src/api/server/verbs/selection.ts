import type { KindInfo } from '../../kinds/registry.ts';
import { parseLabelSelector } from '../../kinds/label-selector.ts';
import {
  type FieldRequirement,
  matchesLabels,
  parseFieldSelector,
  unknownField,
} from '../../kinds/selector.ts';
import type { FieldsOf, StoredObject } from '../cache/stored-object.ts';
import { badRequest } from '../status.ts';

/** What a list or watch is narrowed to by labelSelector and fieldSelector. */
export interface Selection {
  /** No selector at all. */
  readonly everything: boolean;
  /** Set when metadata.name=x is required. */
  readonly name: string | undefined;
  matches(entry: StoredObject, fieldsOf: FieldsOf): boolean;
}

const EVERYTHING: Selection = { everything: true, name: undefined, matches: () => true };

/** @param pathName name of the URL (GET of one object with watch=true), '' = none. Throws 400. */
export function selectionFor(
  kind: KindInfo,
  labelText: string,
  fieldText: string,
  pathName: string,
): Selection {
  if (!labelText && !fieldText && !pathName) return EVERYTHING;
  const labels = parseLabelSelector(labelText);
  if (!labels.ok) throw badRequest(labels.message);
  const fields = parseFieldSelector(fieldText);
  if (!fields.ok) throw badRequest(fields.message);
  const unknown = unknownField(fields.query, kind.selectableFields);
  if (unknown !== undefined) {
    const known = [...kind.selectableFields.keys()];
    const common = known.length === 2;
    throw badRequest(
      common
        ? `${JSON.stringify(unknown)} is not a known field selector: only ${known.map((one) => JSON.stringify(one)).join(', ')}`
        : `field label not supported: ${unknown}`,
    );
  }
  const required = [
    ...fields.query,
    ...(pathName ? [{ field: 'metadata.name', equal: true, value: pathName }] : []),
  ];
  return selection(labels.query, required);
}

function selection(
  labels: Parameters<typeof matchesLabels>[0],
  fields: readonly FieldRequirement[],
): Selection {
  // Name and namespace are in the key: no object needs to be parsed for them.
  const byKey = fields.filter(({ field }) => field === 'metadata.name' || field === 'metadata.namespace');
  const others = fields.filter((one) => !byKey.includes(one));
  return {
    everything: labels.length === 0 && fields.length === 0,
    name: byKey.find((one) => one.field === 'metadata.name' && one.equal)?.value,
    matches(entry, fieldsOf) {
      for (const { field, equal, value } of byKey) {
        const actual = field === 'metadata.name' ? entry.name : entry.namespace;
        if ((actual === value) !== equal) return false;
      }
      if (labels.length === 0 && others.length === 0) return true;
      const attributes = entry.attributes(fieldsOf);
      if (!matchesLabels(labels, attributes.labels)) return false;
      return others.every(
        ({ field, equal, value }) => ((attributes.fields[field] ?? '') === value) === equal,
      );
    },
  };
}
