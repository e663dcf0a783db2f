import { timeMs } from '../decode/time.ts';
import { isObject, objectAt, stringAt, valueAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import type { Cell, Printer, TableColumn } from '../registry.ts';
import { humanDuration } from './duration.ts';

/** One column and how its cell is made. */
export interface Column {
  readonly column: TableColumn;
  cell(object: UnknownObject, nowMs: number): Cell;
}

type CellOf = (object: UnknownObject, nowMs: number) => Cell;

export function printer(columns: readonly Column[]): Printer {
  return {
    columns: columns.map((one) => one.column),
    row: (object, nowMs) => columns.map((one) => one.cell(object, nowMs)),
  };
}

/** A text column; a string names the field by its dotted path. `''` prints as it is. */
export function text(name: string, cell: CellOf | string): Column {
  return { column: column(name, 'string'), cell: typeof cell === 'string' ? (o) => textAt(o, cell) : cell };
}

export function integer(name: string, cell: CellOf | string): Column {
  const read = (o: UnknownObject, path: string): Cell => {
    const value = valueAt(o, path);
    return typeof value === 'number' ? value : 0;
  };
  return { column: column(name, 'integer'), cell: typeof cell === 'string' ? (o) => read(o, cell) : cell };
}

export function boolean(name: string, path: string): Column {
  return { column: column(name, 'boolean'), cell: (object) => valueAt(object, path) === true };
}

/** The same column, shown with `-o wide` only. */
export function wide(one: Column): Column {
  return { ...one, column: { ...one.column, priority: 1 } };
}

export const NAME: Column = {
  column: { ...column('Name', 'string'), format: 'name' },
  cell: (object) => object.metadata?.name ?? '',
};

export const AGE: Column = text('Age', (object, nowMs) => ageOf(object.metadata?.creationTimestamp, nowMs));

export const DEFAULT_PRINTER: Printer = printer([NAME, AGE]);

/** RBAC roles and LimitRanges print when they were made, not how long ago. */
export const CREATED_AT: Column = {
  column: { ...column('Created At', 'date') },
  cell: (object) => object.metadata?.creationTimestamp ?? '',
};

function column(name: string, type: TableColumn['type']): TableColumn {
  return { name, type, format: '', description: '', priority: 0 };
}

/** How long ago a timestamp was; `<unknown>` without one. */
export function ageOf(timestamp: unknown, nowMs: number): string {
  const ms = timeMs(timestamp);
  return ms === undefined ? '<unknown>' : humanDuration(nowMs - ms);
}

export function textAt(object: unknown, path: string): string {
  const value = valueAt(object, path);
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** The text, or what kubectl shows for nothing. */
export function orNone(value: string, nothing = '<none>'): string {
  return value === '' ? nothing : value;
}

/** `a=1,b=2` sorted by key, `<none>` when empty. */
export function labelText(labels: unknown): string {
  const pairs = Object.entries(isObject(labels) ? labels : {}).map(
    ([key, value]) => `${key}=${String(value)}`,
  );
  return orNone(pairs.sort().join(','));
}

/** A LabelSelector as text: `a=1,b in (x,y),c,!d`; `<none>` when empty, undefined selectors included. */
export function selectorText(selector: unknown): string {
  const terms = Object.entries(objectAt(selector, 'matchLabels')).map(
    ([key, value]) => `${key}=${String(value)}`,
  );
  const expressions = isObject(selector) ? selector['matchExpressions'] : undefined;
  for (const one of Array.isArray(expressions) ? (expressions as unknown[]) : []) {
    const key = stringAt(one, 'key');
    const values =
      isObject(one) && Array.isArray(one['values'])
        ? [...(one['values'] as unknown[])].map(String).sort()
        : [];
    const operator = stringAt(one, 'operator');
    if (operator === 'Exists') terms.push(key);
    else if (operator === 'DoesNotExist') terms.push(`!${key}`);
    else terms.push(`${key} ${operator === 'NotIn' ? 'notin' : 'in'} (${values.join(',')})`);
  }
  return orNone(terms.sort().join(','));
}

/** Names and images of a pod template's containers. */
export const CONTAINERS = wide(text('Containers', (o) => containerTexts(o, 'name')));
export const IMAGES = wide(text('Images', (o) => containerTexts(o, 'image')));

function containerTexts(object: UnknownObject, field: string): string {
  const containers = valueAt(object, 'spec.template.spec.containers');
  if (!Array.isArray(containers)) return '';
  return (containers as unknown[]).map((one) => stringAt(one, field)).join(',');
}
