/** A command of a `console` block and what the page says it prints. */
export interface ShownCommand {
  readonly command: string;
  readonly output: readonly string[];
  /** Line of the page, from 1. */
  readonly line: number;
}

/** All commands of a page's ```console blocks: lines after `$ `, each with the lines up to the next one. */
export function shownCommands(markdown: string): ShownCommand[] {
  const found: { command: string; output: string[]; line: number }[] = [];
  let inside = false;
  for (const [index, text] of markdown.split('\n').entries()) {
    if (text.startsWith('```')) inside = text === '```console';
    else if (inside && text.startsWith('$ '))
      found.push({ command: text.slice(2), output: [], line: index + 1 });
    else if (inside) found.at(-1)?.output.push(text);
  }
  return found;
}

/**
 * Compares in shape: words must be the same; numbers, addresses, generated names and widths of columns may differ.
 * A line `...` stands for any lines. Returns the first line that is missing.
 */
export function firstMissing(expected: readonly string[], actual: string): string | undefined {
  const lines = actual.split('\n').map((line) => line.trim());
  let at = 0;
  let free = false;
  for (const line of expected) {
    if (line.trim() === '...') {
      free = true;
      continue;
    }
    const pattern = shapeOf(line.trim());
    const found = lines.findIndex((one, index) => index >= at && pattern.test(one));
    if (found < 0 || (!free && found > at)) return line;
    at = found + 1;
    free = false;
  }
  return undefined;
}

const VARYING: readonly (readonly [RegExp, string])[] = [
  // folders of whoever runs it
  [/\/\S*?\.local\/state/, String.raw`/\S*`],
  // names made by controllers: a template's hash and a pod's suffix
  [/-[a-z0-9]{8,10}-[a-z0-9]{5}\b/, '-[a-z0-9]{8,10}-[a-z0-9]{5}'],
  [/\d+(?:\.\d+)*/, String.raw`\d+(?:\.\d+)*`],
  [/\s+/, String.raw`\s+`],
];

function shapeOf(line: string): RegExp {
  const parts = new RegExp(VARYING.map(([pattern]) => `(${pattern.source})`).join('|'), 'g');
  let source = '';
  let end = 0;
  for (const match of line.matchAll(parts)) {
    source += RegExp.escape(line.slice(end, match.index));
    source += VARYING[match.slice(1).findIndex((group) => group !== undefined)]![1];
    end = match.index + match[0].length;
  }
  return new RegExp(`^${source}${RegExp.escape(line.slice(end))}$`);
}
