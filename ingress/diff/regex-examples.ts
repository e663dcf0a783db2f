/** Texts that a pattern matches, a few for each alternative: candidates, to be tried against the pattern itself. */
const EXAMPLES_MAX = 24;

/** Reads the common syntax of RE2; what it does not know is taken literally, so examples must be tested. */
export function regexExamples(source: string): string[] {
  const reader = { source, at: 0 };
  return alternatives(reader, 0).slice(0, EXAMPLES_MAX);
}

interface Reader {
  readonly source: string;
  at: number;
}

const DEPTH_MAX = 32;

function alternatives(reader: Reader, depth: number): string[] {
  let all = sequence(reader, depth);
  while (reader.source[reader.at] === '|') {
    reader.at++;
    all = [...all, ...sequence(reader, depth)].slice(0, EXAMPLES_MAX);
  }
  return all;
}

function sequence(reader: Reader, depth: number): string[] {
  let texts = [''];
  while (reader.at < reader.source.length && !'|)'.includes(reader.source[reader.at]!)) {
    const choices = quantified(reader, atom(reader, depth));
    texts = texts.flatMap((text) => choices.map((choice) => text + choice)).slice(0, EXAMPLES_MAX);
  }
  return texts;
}

function atom(reader: Reader, depth: number): string[] {
  const char = reader.source[reader.at++]!;
  if (char === '(' && depth < DEPTH_MAX) return group(reader, depth + 1);
  if (char === '[') return [fromClass(reader)];
  if (char === '\\') return [escaped(reader.source[reader.at++] ?? '')];
  if (char === '.') return ['x'];
  return char === '^' || char === '$' ? [''] : [char];
}

function group(reader: Reader, depth: number): string[] {
  const opening = /^\?(?:P?<\w+>|[a-zA-Z-]*:?)/.exec(reader.source.slice(reader.at));
  if (opening) reader.at += opening[0].length;
  const found = alternatives(reader, depth);
  if (reader.source[reader.at] === ')') reader.at++;
  return found;
}

function quantified(reader: Reader, choices: string[]): string[] {
  const quantifier = /^(?:[?*+]|\{(\d+)(,\d*)?\})\??/.exec(reader.source.slice(reader.at));
  if (!quantifier) return choices;
  reader.at += quantifier[0].length;
  if (quantifier[1] !== undefined)
    return choices.map((choice) => choice.repeat(Math.min(16, Number(quantifier[1]))));
  const twice = choices.slice(0, 1).map((choice) => choice + choice);
  return quantifier[0].startsWith('+') ? [...choices, ...twice] : ['', ...choices, ...twice];
}

const ESCAPES: Readonly<Record<string, string>> = {
  d: '7',
  w: 'w',
  s: ' ',
  D: 'x',
  W: '-',
  S: 'x',
  b: '',
  B: '',
};

function escaped(char: string): string {
  return Object.hasOwn(ESCAPES, char) ? ESCAPES[char]! : char;
}

/** One member of a class; of a negated one, a character that is likely outside. */
function fromClass(reader: Reader): string {
  const end = reader.source.indexOf(']', reader.at + (reader.source[reader.at] === '^' ? 2 : 1));
  if (end < 0) return '[';
  const body = reader.source.slice(reader.at, end);
  reader.at = end + 1;
  if (body.startsWith('^')) return ['x', '7', '-', '_', 'Q'].find((char) => !body.includes(char)) ?? '~';
  if (body.startsWith('\\')) return escaped(body[1] ?? '');
  return body.startsWith('[:') ? 'x' : (body[0] ?? '');
}
