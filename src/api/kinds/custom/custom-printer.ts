import { numberAt, objectsAt, stringAt, textOf } from '../json-value.ts';
import type { Cell, Printer, TableColumn } from '../registry.ts';
import { AGE, ageOf, type Column, NAME, printer } from '../tables/printer.ts';
import { parseJsonPath } from './json-path.ts';

const TYPES: ReadonlySet<string> = new Set(['string', 'integer', 'number', 'boolean', 'date']);

/** Name and the columns of `additionalPrinterColumns`; Name and Age when there are none. */
export function customPrinter(version: unknown): Printer {
  const columns = objectsAt(version, 'additionalPrinterColumns').map(columnOf);
  return printer([NAME, ...(columns.length > 0 ? columns : [AGE])]);
}

function columnOf(source: Record<string, unknown>): Column {
  const given = stringAt(source, 'type');
  const type = (TYPES.has(given) ? given : 'string') as TableColumn['type'];
  const path = parseJsonPath(stringAt(source, 'jsonPath'));
  return {
    column: {
      name: stringAt(source, 'name'),
      type,
      format: stringAt(source, 'format'),
      description: stringAt(source, 'description'),
      priority: numberAt(source, 'priority') ?? 0,
    },
    cell: (object, nowMs) => cellOf(path?.(object) ?? [], type, nowMs),
  };
}

function cellOf(values: readonly unknown[], type: TableColumn['type'], nowMs: number): Cell {
  const [value] = values;
  if (value === undefined || value === null) return type === 'string' ? '' : null;
  switch (type) {
    case 'date':
      return ageOf(value, nowMs);
    case 'integer':
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'string':
      return values.map(textOf).join(',');
  }
}
