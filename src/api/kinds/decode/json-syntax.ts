/** What may come next, and how Go's encoding/json says that something else came. */
type State =
  | 'value'
  | 'value or ]'
  | 'key'
  | 'key or }'
  | 'colon'
  | 'after value'
  | 'string'
  | 'escape'
  | 'unicode'
  | 'minus'
  | 'zero'
  | 'digits'
  | 'point'
  | 'fraction'
  | 'exponent'
  | 'exponent sign'
  | 'exponent digits'
  | 'literal';

const LITERALS: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' };
const isDigit = (one: string): boolean => one >= '0' && one <= '9';
const SPACE = /[ \t\r\n]/;

/**
 * The first mistake of a text that is no JSON, as Go's encoding/json tells it; undefined when there is none.
 * It walks the text once, and only when a parser has refused it.
 */
export function jsonSyntaxError(text: string): string | undefined {
  const scanner = new Scanner();
  for (const one of text) {
    const wrong = scanner.step(one);
    if (wrong !== undefined) return `invalid character ${quoted(one)} ${wrong}`;
  }
  if (scanner.complete) return undefined;
  // The end is a space to whatever is not finished.
  const wrong = scanner.step(' ');
  if (scanner.complete) return undefined;
  return wrong === undefined ? 'unexpected end of JSON input' : `invalid character ' ' ${wrong}`;
}

function quoted(one: string): string {
  if (one === "'") return `'\\''`;
  if (one === '"') return `'"'`;
  const byte = Buffer.from(one)[0] ?? 0;
  return `'${JSON.stringify(byte > 0x7f ? String.fromCharCode(byte) : one).slice(1, -1)}'`;
}

class Scanner {
  #state: State = 'value';
  /** What is open, outermost first; true for objects. */
  readonly #open: boolean[] = [];
  /** The string being read is a key. */
  #isKey = false;
  /** Characters of a literal or of an escape that are still to come. */
  #rest = '';
  #literal = '';
  #count = 0;

  get complete(): boolean {
    return this.#state === 'after value' && this.#open.length === 0;
  }

  /** Takes a character; returns where it is not allowed, in Go's words. */
  step(one: string): string | undefined {
    switch (this.#state) {
      case 'value':
      case 'value or ]':
        return this.#value(one);
      case 'key':
      case 'key or }':
        return this.#key(one);
      case 'colon':
        if (SPACE.test(one)) return undefined;
        if (one !== ':') return 'after object key';
        return this.#to('value');
      case 'after value':
        return this.#afterValue(one);
      case 'string':
      case 'escape':
      case 'unicode':
        return this.#string(one);
      case 'literal':
        return this.#literalStep(one);
      case 'minus':
      case 'point':
      case 'exponent':
      case 'exponent sign':
        return this.#unfinishedNumber(one);
      case 'zero':
      case 'digits':
      case 'fraction':
      case 'exponent digits':
        return this.#wholeNumber(one);
    }
  }

  #to(state: State): undefined {
    this.#state = state;
  }

  #value(one: string): string | undefined {
    if (SPACE.test(one)) return undefined;
    if (one === ']' && this.#state === 'value or ]') return this.#close();
    if (one === '{' || one === '[') {
      this.#open.push(one === '{');
      return this.#to(one === '{' ? 'key or }' : 'value or ]');
    }
    if (one === '"') {
      this.#isKey = false;
      return this.#to('string');
    }
    if (one === '-') return this.#to('minus');
    if (isDigit(one)) return this.#to(one === '0' ? 'zero' : 'digits');
    const literal = LITERALS[one];
    if (literal === undefined) return 'looking for beginning of value';
    this.#literal = literal;
    this.#rest = literal.slice(1);
    return this.#to('literal');
  }

  #key(one: string): string | undefined {
    if (SPACE.test(one)) return undefined;
    if (one === '}' && this.#state === 'key or }') return this.#close();
    if (one !== '"') return 'looking for beginning of object key string';
    this.#isKey = true;
    return this.#to('string');
  }

  #close(): undefined {
    this.#open.pop();
    return this.#to('after value');
  }

  #afterValue(one: string): string | undefined {
    if (SPACE.test(one)) return undefined;
    const inObject = this.#open.at(-1);
    if (inObject === undefined) return 'after top-level value';
    if (one === ',') return this.#to(inObject ? 'key' : 'value');
    if (one === (inObject ? '}' : ']')) return this.#close();
    return inObject ? 'after object key:value pair' : 'after array element';
  }

  #string(one: string): string | undefined {
    if (this.#state === 'escape') {
      if (one === 'u') this.#count = 4;
      else if (!/["\\/bfnrt]/.test(one)) return 'in string escape code';
      return this.#to(one === 'u' ? 'unicode' : 'string');
    }
    if (this.#state === 'unicode') {
      if (!/[0-9a-fA-F]/.test(one)) return 'in \\u hexadecimal character escape';
      this.#count -= 1;
      return this.#to(this.#count === 0 ? 'string' : 'unicode');
    }
    if (one === '\\') return this.#to('escape');
    if (one === '"') return this.#to(this.#isKey ? 'colon' : 'after value');
    return one < ' ' ? 'in string literal' : undefined;
  }

  #literalStep(one: string): string | undefined {
    const [expected = ''] = this.#rest;
    if (one !== expected) return `in literal ${this.#literal} (expecting '${expected}')`;
    this.#rest = this.#rest.slice(1);
    return this.#to(this.#rest === '' ? 'after value' : 'literal');
  }

  #unfinishedNumber(one: string): string | undefined {
    const digit = isDigit(one);
    if (this.#state === 'minus')
      return digit ? this.#to(one === '0' ? 'zero' : 'digits') : 'in numeric literal';
    if (this.#state === 'point')
      return digit ? this.#to('fraction') : 'after decimal point in numeric literal';
    if (this.#state === 'exponent' && (one === '+' || one === '-')) return this.#to('exponent sign');
    return digit ? this.#to('exponent digits') : 'in exponent of numeric literal';
  }

  /** Digits that may end here. */
  #wholeNumber(one: string): string | undefined {
    if (isDigit(one) && this.#state !== 'zero') return undefined;
    const mayGrow = this.#state === 'zero' || this.#state === 'digits';
    if (one === '.' && mayGrow) return this.#to('point');
    if ((one === 'e' || one === 'E') && this.#state !== 'exponent digits') return this.#to('exponent');
    this.#to('after value');
    return this.#afterValue(one);
  }
}
