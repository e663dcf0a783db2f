import type { DiscoveredResource } from '../../api/client/discovery.ts';

/** Asks a server to print objects as columns (meta.k8s.io/v1 Table), and takes JSON where it does not. */
export const TABLE_MEDIA = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

/** What a server prints of a list, an object, or a change of a watch. */
export interface ServerTable {
  readonly metadata?: { readonly resourceVersion?: string };
  /** Of a watch only the first change has them. */
  readonly columnDefinitions: readonly ColumnDefinition[] | null;
  readonly rows: readonly ServerRow[];
}

interface ColumnDefinition {
  readonly name: string;
  /** Above 0 only `-o wide` shows it. */
  readonly priority: number;
}

interface ServerRow {
  readonly cells: readonly unknown[];
  readonly object?: {
    readonly metadata?: {
      readonly namespace?: string;
      readonly name?: string;
      readonly resourceVersion?: string;
    };
  };
}

export interface ColumnChoice {
  readonly wide: boolean;
  readonly namespaces: boolean;
  /** Names with their kind, where several kinds are shown. */
  readonly prefixed: boolean;
}

/** Head and rows as they are to be shown. */
export function tableText(
  resource: DiscoveredResource,
  columns: readonly ColumnDefinition[],
  rows: readonly ServerRow[],
  { wide, namespaces, prefixed }: ColumnChoice,
): { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const shown = columns.flatMap(({ priority }, index) => (priority === 0 || wide ? [index] : []));
  const head = shown.map((index) => (columns[index]?.name ?? '').toUpperCase());
  const texts = rows.map((row) => {
    const cells = shown.map((index) => cellText(row.cells[index]));
    if (prefixed) cells[0] = rowName(resource, row);
    return namespaces ? [row.object?.metadata?.namespace ?? '', ...cells] : cells;
  });
  return { head: namespaces ? ['NAMESPACE', ...head] : head, rows: texts };
}

/** `pod/front`, `deployment.apps/front`. */
export function rowName({ kind, group }: DiscoveredResource, row: ServerRow): string {
  return `${kind.toLowerCase()}${group && `.${group}`}/${row.object?.metadata?.name ?? ''}`;
}

function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return '<none>';
  return typeof cell === 'string' || typeof cell === 'number' || typeof cell === 'boolean'
    ? String(cell)
    : JSON.stringify(cell);
}
