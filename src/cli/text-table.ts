/** Columns separated by two blanks, as kubectl prints them; the last one is not padded. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = new ColumnWidths([head, ...rows]);
  return [head, ...rows].map((row) => widths.line(row)).join('');
}

/** How wide the columns of a table are, for rows that come later. */
export class ColumnWidths {
  readonly #widths: readonly number[];

  constructor(rows: readonly (readonly string[])[]) {
    const widths: number[] = [];
    for (const row of rows) {
      for (const [column, cell] of row.entries()) {
        const width = Math.max(...cellLines(cell).map(({ length }) => length));
        widths[column] = Math.max(widths[column] ?? 0, width);
      }
    }
    this.#widths = widths;
  }

  /** One row. Further lines of a cell stand below it, in its column. */
  line(cells: readonly string[]): string {
    const columns = cells.map(cellLines);
    const height = Math.max(...columns.map(({ length }) => length));
    return Array.from({ length: height }, (_, at) => {
      const texts = columns.map((lines, column) => (lines[at] ?? '').padEnd(this.#widths[column] ?? 0));
      return `${texts.join('  ').trimEnd()}\n`;
    }).join('');
  }
}

function cellLines(cell: string): readonly string[] {
  return cell.split(/\r?\n/);
}
