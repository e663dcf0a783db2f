import { compileRegex } from '../../user-regex.ts';

/** The expressions of `view` and `template` (a part of expr-lang): compiled once, run for each question. */
export type Evaluate<E> = (env: E) => unknown;
export type ExpressionFunction<E> = {
  readonly args: number;
  readonly call: (env: E, args: readonly unknown[]) => unknown;
};

/** A name that stands for a value. */
export type ExpressionVariable<E> = { readonly value: (env: E) => unknown };
export type ExpressionNames<E> = Readonly<Record<string, ExpressionFunction<E> | ExpressionVariable<E>>>;

/** Thrown while compiling (the text is wrong) and while running (the types do not fit). */
export class ExpressionError extends Error {}

const DEPTH_MAX = 64;
const BINARY: Readonly<Record<string, number>> = {
  '||': 10,
  or: 10,
  '&&': 15,
  and: 15,
  '==': 20,
  '!=': 20,
  '<': 20,
  '>': 20,
  '<=': 20,
  '>=': 20,
  in: 20,
  'not in': 20,
  matches: 20,
  contains: 20,
  startsWith: 20,
  endsWith: 20,
  '+': 30,
  '-': 30,
  '*': 60,
  '/': 60,
  '%': 60,
};
const NOT_BINDS = 50;

type ExpressionToken =
  | { readonly kind: 'string' | 'name' | 'operator'; readonly text: string }
  | { readonly kind: 'number'; readonly text: string; readonly value: number };

export function compileExpression<E>(text: string, names: ExpressionNames<E>): Evaluate<E> {
  return new ExpressionParser(tokensOf(text), names).parse();
}

function tokensOf(text: string): ExpressionToken[] {
  const pattern =
    /\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(\|\||&&|[=!<>]=|[-+*/%<>!()[\],?:#]))/gy;
  const tokens: ExpressionToken[] = [];
  let end = 0;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const [, quoted, number, name, operator] = match;
    end = pattern.lastIndex;
    if (quoted !== undefined) tokens.push({ kind: 'string', text: unquote(quoted) });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number, value: Number(number) });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else tokens.push({ kind: 'operator', text: operator! });
  }
  const rest = text.slice(end).trim();
  if (rest !== '') throw new ExpressionError(`"${rest.slice(0, 20)}" cannot be read`);
  return tokens;
}

function unquote(text: string): string {
  const body = text.slice(1, -1);
  const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
  return text.startsWith('`') ? body : body.replace(/\\(.)/g, (_all, char: string) => escapes[char] ?? char);
}

type Quantifier = (items: readonly unknown[], fits: (item: unknown) => boolean) => boolean;
const QUANTIFIERS: Readonly<Record<string, Quantifier>> = {
  any: (items, fits) => items.some(fits),
  all: (items, fits) => items.every(fits),
  none: (items, fits) => !items.some(fits),
  one: (items, fits) => items.filter(fits).length === 1,
};

class ExpressionParser<E> {
  readonly #tokens: readonly ExpressionToken[];
  readonly #names: ExpressionNames<E>;
  /** What `#` stands for, the innermost last. Evaluation never waits, so one list serves all. */
  readonly #elements: unknown[] = [];
  #predicates = 0;
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly ExpressionToken[], names: ExpressionNames<E>) {
    this.#tokens = tokens;
    this.#names = names;
  }

  parse(): Evaluate<E> {
    const evaluate = this.#expression(0);
    const left = this.#tokens[this.#at];
    if (left) throw new ExpressionError(`"${left.text}" is not expected`);
    return evaluate;
  }

  #expression(binds: number): Evaluate<E> {
    if (++this.#depth > DEPTH_MAX) throw new ExpressionError(`brackets are nested deeper than ${DEPTH_MAX}`);
    let left = this.#prefix();
    for (;;) {
      const operator = this.#operator();
      const power = operator === undefined ? 0 : BINARY[operator]!;
      if (operator === undefined || power <= binds) break;
      this.#at += operator === 'not in' ? 2 : 1;
      left = binary(operator, left, this.#expression(power));
    }
    if (binds === 0 && this.#takes('?')) left = this.#choice(left);
    this.#depth--;
    return left;
  }

  #choice(condition: Evaluate<E>): Evaluate<E> {
    const yes = this.#expression(0);
    this.#must(':');
    const no = this.#expression(0);
    return (env) => (truth(condition(env)) ? yes(env) : no(env));
  }

  #operator(): string | undefined {
    const token = this.#tokens[this.#at];
    if (!token || token.kind === 'string' || token.kind === 'number') return undefined;
    if (token.text === 'not' && this.#tokens[this.#at + 1]?.text === 'in') return 'not in';
    return Object.hasOwn(BINARY, token.text) ? token.text : undefined;
  }

  #prefix(): Evaluate<E> {
    const token = this.#tokens[this.#at++];
    if (!token) throw new ExpressionError('it ends too early');
    if (token.kind === 'string') return () => token.text;
    if (token.kind === 'number') return () => token.value;
    if (token.text === '!' || token.text === 'not') {
      const operand = this.#expression(NOT_BINDS);
      return (env) => !truth(operand(env));
    }
    if (token.text === '-') {
      const operand = this.#expression(NOT_BINDS);
      return (env) => -number(operand(env));
    }
    if (token.text === '(') {
      const inner = this.#expression(0);
      this.#must(')');
      return inner;
    }
    if (token.text === '[') {
      const items = this.#list(']');
      return (env) => items.map((item) => item(env));
    }
    if (token.text === '#' && this.#predicates > 0) return () => this.#elements.at(-1);
    if (token.kind === 'name') return this.#named(token.text);
    throw new ExpressionError(`"${token.text}" is not expected`);
  }

  #named(name: string): Evaluate<E> {
    if (name === 'true' || name === 'false') return () => name === 'true';
    if (Object.hasOwn(QUANTIFIERS, name)) return this.#quantified(QUANTIFIERS[name]!, name);
    const known = Object.hasOwn(this.#names, name) ? this.#names[name] : undefined;
    if (!known) {
      const names = [...Object.keys(this.#names), ...Object.keys(QUANTIFIERS)];
      throw new ExpressionError(`there is no function "${name}"; there are ${names.join(', ')}`);
    }
    if ('value' in known) return known.value;
    if (!this.#takes('(')) throw new ExpressionError(`"${name}" is a function: write ${name}()`);
    const args = this.#list(')');
    if (args.length !== known.args) {
      throw new ExpressionError(`${name}() takes ${known.args} argument(s), ${args.length} given`);
    }
    return (env) =>
      known.call(
        env,
        args.map((arg) => arg(env)),
      );
  }

  /** `any(list, predicate)` and the like; `#` in the predicate is the element. */
  #quantified(holds: Quantifier, name: string): Evaluate<E> {
    if (!this.#takes('('))
      throw new ExpressionError(`"${name}" is a function: write ${name}(list, predicate)`);
    const items = this.#expression(0);
    this.#must(',');
    this.#predicates++;
    const predicate = this.#expression(0);
    this.#predicates--;
    this.#must(')');
    return (env) => {
      const fits = (element: unknown): boolean => {
        this.#elements.push(element);
        try {
          return truth(predicate(env));
        } finally {
          this.#elements.pop();
        }
      };
      return holds(list(items(env)), fits);
    };
  }

  #list(close: string): Evaluate<E>[] {
    const items: Evaluate<E>[] = [];
    if (this.#takes(close)) return items;
    for (;;) {
      items.push(this.#expression(0));
      if (this.#takes(close)) return items;
      this.#must(',');
    }
  }

  #takes(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'operator' || token.text !== text) return false;
    this.#at++;
    return true;
  }

  #must(text: string): void {
    if (!this.#takes(text)) throw new ExpressionError(`"${text}" is missing`);
  }
}

function binary<E>(operator: string, a: Evaluate<E>, b: Evaluate<E>): Evaluate<E> {
  switch (operator) {
    case '||':
    case 'or':
      return (env) => truth(a(env)) || truth(b(env));
    case '&&':
    case 'and':
      return (env) => truth(a(env)) && truth(b(env));
    case '==':
      return (env) => a(env) === b(env);
    case '!=':
      return (env) => a(env) !== b(env);
    case 'in':
      return (env) => list(b(env)).includes(a(env));
    case 'not in':
      return (env) => !list(b(env)).includes(a(env));
    case 'matches':
      return matching(a, b);
    case 'contains':
      return (env) => text(a(env)).includes(text(b(env)));
    case 'startsWith':
      return (env) => text(a(env)).startsWith(text(b(env)));
    case 'endsWith':
      return (env) => text(a(env)).endsWith(text(b(env)));
    case '+':
      return (env) => sum(a(env), b(env));
    default:
      return arithmetic(operator, a, b);
  }
}

function arithmetic<E>(operator: string, a: Evaluate<E>, b: Evaluate<E>): Evaluate<E> {
  const calculate: Readonly<Record<string, (x: number, y: number) => unknown>> = {
    '-': (x, y) => x - y,
    '*': (x, y) => x * y,
    '/': (x, y) => x / y,
    '%': (x, y) => x % y,
    '<': (x, y) => x < y,
    '>': (x, y) => x > y,
    '<=': (x, y) => x <= y,
    '>=': (x, y) => x >= y,
  };
  const run = calculate[operator]!;
  return (env) => run(number(a(env)), number(b(env)));
}

/** The expression on the right is compiled once; one that is not constant is refused. */
function matching<E>(a: Evaluate<E>, b: Evaluate<E>): Evaluate<E> {
  let source: unknown;
  try {
    source = b({} as E);
  } catch {
    source = undefined;
  }
  if (typeof source !== 'string') throw new ExpressionError('what stands behind "matches" must be a text');
  const regex = compileRegex(source);
  if (!('test' in regex))
    throw new ExpressionError(`"${source}" is not a regular expression: ${regex.reason}`);
  return (env) => regex.test(text(a(env)));
}

export function truth(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new ExpressionError(`${JSON.stringify(value)} is neither true nor false`);
}

function number(value: unknown): number {
  if (typeof value === 'number') return value;
  throw new ExpressionError(`${JSON.stringify(value)} is not a number`);
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new ExpressionError(`${JSON.stringify(value)} is not a text`);
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new ExpressionError(`${JSON.stringify(value)} is not a list`);
}

function sum(a: unknown, b: unknown): unknown {
  return typeof a === 'string' ? a + text(b) : number(a) + number(b);
}
