import type { JsonObject } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import type { Printer } from '../registry.ts';

/** What a client wants beside the cells: nothing, the metadata (default) or the object. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  readonly nowMs: number;
  readonly includeObject: IncludeObject;
  /** False in all but the first event of a watch. */
  readonly columns: boolean;
  /** ListMeta of a list; the object's own resourceVersion for a single one. */
  readonly metadata: JsonObject;
  /** `v1` or `v1beta1`, as asked for in Accept. */
  readonly version: string;
}

/** A meta.k8s.io Table of the objects. */
export function tableOf(
  printer: Printer,
  objects: readonly UnknownObject[],
  options: TableOptions,
): JsonObject {
  const apiVersion = `meta.k8s.io/${options.version}`;
  return {
    kind: 'Table',
    apiVersion,
    metadata: options.metadata,
    columnDefinitions: options.columns ? printer.columns : [],
    rows: objects.map((object) => ({
      cells: printer.row(object, options.nowMs),
      object: rowObject(object, options.includeObject, apiVersion),
    })),
  };
}

function rowObject(object: UnknownObject, include: IncludeObject, apiVersion: string): unknown {
  if (include === 'None') return null;
  if (include === 'Object') return object;
  return { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata };
}
