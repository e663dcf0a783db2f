import { CelError, CelSyntaxError } from './budget.ts';
import { CEL_DEPTH_MAX, CEL_EXPRESSION_MAX_BYTES } from './limits.ts';
import { RESERVED, type Token, tokenize } from './tokens.ts';
import type { CelValue } from './values.ts';

/** `at` is the offset of what names the node: an operator, the parenthesis of a call, the first character of others. */
export type CelNode = { readonly at: number } & (
  | { readonly type: 'literal'; readonly value: CelValue; readonly unsigned?: true }
  | { readonly type: 'ident'; readonly name: string }
  | { readonly type: 'select'; readonly target: CelNode; readonly field: string; readonly optional: boolean }
  | { readonly type: 'index'; readonly target: CelNode; readonly index: CelNode; readonly optional: boolean }
  | {
      readonly type: 'call';
      readonly name: string;
      readonly target: CelNode | undefined;
      readonly args: readonly CelNode[];
    }
  | { readonly type: 'list'; readonly items: readonly CelNode[] }
  | { readonly type: 'map'; readonly entries: readonly (readonly [key: CelNode, value: CelNode])[] }
  | { readonly type: 'unary'; readonly operator: '!' | '-'; readonly operand: CelNode }
  | { readonly type: 'binary'; readonly operator: string; readonly left: CelNode; readonly right: CelNode }
  | {
      readonly type: 'ternary';
      readonly condition: CelNode;
      readonly yes: CelNode;
      readonly no: CelNode;
    }
);

/** From loosest to tightest; all are left-associative. */
const LEVELS: readonly ReadonlySet<string>[] = [
  new Set(['||']),
  new Set(['&&']),
  new Set(['==', '!=', '<', '<=', '>', '>=', 'in']),
  new Set(['+', '-']),
  new Set(['*', '/', '%']),
];
const CONSTANTS: ReadonlyMap<string, CelValue> = new Map<string, CelValue>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

const END: Token = { type: 'end', text: '', raw: '<EOF>', at: 0 };
const OPERANDS =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const OPERAND_SIGNS: ReadonlySet<string> = new Set(['[', '{', '(', '.', '-', '!']);
/** What may follow an item of a list or an entry of a map. */
const LIST_ENDS: ReadonlyMap<string, string> = new Map([
  [']', "{']', ','}"],
  ['}', "{'}', ','}"],
]);

const startsOperand = ({ type, text }: Token): boolean =>
  type === 'operator' ? OPERAND_SIGNS.has(text) : type !== 'end' && text !== 'in';

/** Throws CelError with the place of the mistake. */
export function parseCel(source: string): CelNode {
  if (Buffer.byteLength(source) > CEL_EXPRESSION_MAX_BYTES)
    throw new CelError('the expression is too long', 0);
  const { tokens, errors } = tokenize(source);
  try {
    const node = new Parser(tokens).parse();
    if (errors.length === 0) return node;
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    errors.push({ at: error.offset ?? 0, message: error.message });
  }
  throw new CelSyntaxError(errors);
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): CelNode {
    const node = this.#expression();
    if (this.#peek().type !== 'end') throw this.#trailing();
    return node;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? END;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #is(text: string): boolean {
    const token = this.#peek();
    return token.text === text && (token.type === 'operator' || text === 'in');
  }

  #accept(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) throw this.#missing(text);
  }

  /** The second token from here. */
  #after(): Token {
    return this.#tokens[this.#next + 1] ?? END;
  }

  #syntaxError(text: string): CelError {
    return new CelError(`Syntax error: ${text}`, this.#peek().at);
  }

  #trailing(): CelError {
    const what = this.#after().type === 'end' ? 'extraneous' : 'mismatched';
    return this.#syntaxError(`${what} input '${this.#peek().raw}' expecting <EOF>`);
  }

  /** In words of ANTLR: a closing character is missing, or there is one token too many before it. */
  #missing(text: string): CelError {
    const { raw } = this.#peek();
    const isEnd = this.#peek().type === 'end';
    if (isEnd && LIST_ENDS.has(text))
      return this.#syntaxError(`mismatched input '${raw}' expecting ${LIST_ENDS.get(text)}`);
    if (this.#after().text === text)
      return this.#syntaxError(`extraneous input '${raw}' expecting '${text}'`);
    const fits = text === ':' ? startsOperand(this.#peek()) : isEnd;
    return this.#syntaxError(
      fits ? `missing '${text}' at '${raw}'` : `mismatched input '${raw}' expecting '${text}'`,
    );
  }

  #noOperand(): CelError {
    const what = startsOperand(this.#after()) ? 'extraneous' : 'mismatched';
    return this.#syntaxError(`${what} input '${this.#peek().raw}' expecting ${OPERANDS}`);
  }

  #expression(): CelNode {
    if (++this.#depth > CEL_DEPTH_MAX)
      throw new CelError('expression recursion limit exceeded', this.#peek().at);
    const condition = this.#binary(0);
    const { at } = this.#peek();
    let node = condition;
    if (this.#accept('?')) {
      const yes = this.#binary(0);
      this.#expect(':');
      node = { type: 'ternary', condition, yes, no: this.#expression(), at };
    }
    this.#depth--;
    return node;
  }

  #binary(level: number): CelNode {
    const operators = LEVELS[level];
    if (!operators) return this.#unary();
    let left = this.#binary(level + 1);
    for (let count = 0; ; count++) {
      const { text, at, type } = this.#peek();
      const isOperator = type === 'operator' || (type === 'ident' && text === 'in');
      if (!isOperator || !operators.has(text)) return left;
      if (count > CEL_DEPTH_MAX) throw new CelError('expression recursion limit exceeded', at);
      this.#next++;
      left = { type: 'binary', operator: text, left, right: this.#binary(level + 1), at };
    }
  }

  #unary(): CelNode {
    const { at } = this.#peek();
    const operators: ('!' | '-')[] = [];
    for (;;) {
      if (this.#accept('!')) operators.push('!');
      else if (this.#accept('-')) operators.push('-');
      else break;
      if (operators.length > CEL_DEPTH_MAX) throw new CelError('expression recursion limit exceeded', at);
    }
    let node = this.#member();
    for (const operator of operators.reverse()) {
      if (operator === '-' && node.type === 'literal' && typeof node.value === 'bigint') {
        node = { ...node, value: -node.value, at };
      } else node = { type: 'unary', operator, operand: node, at };
    }
    return node;
  }

  #member(): CelNode {
    let node = this.#primary();
    for (let count = 0; ; count++) {
      const { at } = this.#peek();
      if (count > CEL_DEPTH_MAX) throw new CelError('expression recursion limit exceeded', at);
      if (this.#accept('.')) node = this.#selection(node, at);
      else if (this.#accept('[')) {
        const optional = this.#accept('?');
        node = { type: 'index', target: node, index: this.#expression(), optional, at };
        this.#expect(']');
      } else return node;
    }
  }

  #selection(target: CelNode, at: number): CelNode {
    const optional = this.#accept('?');
    const name = this.#take();
    if (name.type !== 'ident') {
      this.#next--;
      const behind = name.type === 'end' ? '' : name.raw;
      throw this.#syntaxError(`no viable alternative at input '.${behind}'`);
    }
    const call = this.#peek().at;
    if (!optional && this.#accept('(')) {
      return { type: 'call', name: name.text, target, args: this.#list(')'), at: call };
    }
    return { type: 'select', target, field: name.text, optional, at };
  }

  #primary(): CelNode {
    const token = this.#take();
    const { at, text } = token;
    switch (token.type) {
      case 'int':
        return {
          type: 'literal',
          value: intLiteral(text, at, this.#negative() ? INT_MAX : INT_MAX - 1n),
          at,
        };
      case 'uint':
        return { type: 'literal', value: intLiteral(text, at, UINT_MAX), unsigned: true, at };
      case 'double':
        return { type: 'literal', value: Number(text), at };
      case 'string':
        return { type: 'literal', value: text, at };
      case 'bytes':
        return { type: 'literal', value: Buffer.from(text, 'utf8'), at };
      case 'ident': {
        if (RESERVED.has(text)) throw new CelError(`reserved identifier: ${text}`, at);
        const constant = CONSTANTS.get(text);
        if (constant !== undefined) return { type: 'literal', value: constant, at };
        const call = this.#peek().at;
        if (this.#accept('('))
          return { type: 'call', name: text, target: undefined, args: this.#list(')'), at: call };
        return { type: 'ident', name: text, at };
      }
      case 'operator':
        if (text === '(') {
          const inner = this.#expression();
          this.#expect(')');
          return inner;
        }
        if (text === '[') return { type: 'list', items: this.#list(']'), at };
        if (text === '{') return { type: 'map', entries: this.#entries(), at };
        break;
      case 'end':
        break;
    }
    this.#next--;
    throw this.#noOperand();
  }

  /** Whether a minus stands before the token that was taken last. */
  #negative(): boolean {
    return this.#tokens[this.#next - 2]?.text === '-';
  }

  #list(close: string): CelNode[] {
    const items: CelNode[] = [];
    while (!this.#accept(close)) {
      if (items.length > 0) {
        if (!this.#accept(',')) throw this.#missing(close);
        if (close !== ')' && this.#accept(close)) break;
      }
      items.push(this.#expression());
    }
    return items;
  }

  #entries(): [CelNode, CelNode][] {
    const entries: [CelNode, CelNode][] = [];
    while (!this.#accept('}')) {
      if (entries.length > 0) {
        if (!this.#accept(',')) throw this.#missing('}');
        if (this.#accept('}')) break;
      }
      const key = this.#expression();
      this.#expect(':');
      entries.push([key, this.#expression()]);
    }
    return entries;
  }
}

const INT_MAX = 2n ** 63n;
const UINT_MAX = 2n ** 64n - 1n;

function intLiteral(text: string, at: number, most: bigint): bigint {
  const value = BigInt(text);
  if (value > most) throw new CelError('invalid int literal', at);
  return value;
}
