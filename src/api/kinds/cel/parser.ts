import { CelError } from './budget.ts';
import { CEL_DEPTH_MAX, CEL_EXPRESSION_MAX_BYTES } from './limits.ts';
import { RESERVED, type Token, tokenize } from './tokens.ts';
import type { CelValue } from './values.ts';

export type CelNode = { readonly at: number } & (
  | { readonly type: 'literal'; readonly value: CelValue }
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

/** Throws CelError with the place of the mistake. */
export function parseCel(source: string): CelNode {
  if (Buffer.byteLength(source) > CEL_EXPRESSION_MAX_BYTES)
    throw new CelError('the expression is too long', 0);
  const parser = new Parser(tokenize(source));
  return parser.parse();
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
    if (this.#peek().type !== 'end') throw this.#unexpected();
    return node;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { type: 'end', text: '', at: 0 };
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
    if (!this.#accept(text)) throw this.#unexpected(text);
  }

  #unexpected(expected?: string): CelError {
    const { text, at, type } = this.#peek();
    const found = type === 'end' ? '<EOF>' : text;
    const hint = expected === undefined ? '' : `, expecting '${expected}'`;
    return new CelError(`Syntax error: unexpected '${found}'${hint}`, at);
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
        node = { ...node, value: -node.value };
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
      throw this.#unexpected();
    }
    if (!optional && this.#accept('(')) {
      return { type: 'call', name: name.text, target, args: this.#list(')'), at };
    }
    return { type: 'select', target, field: name.text, optional, at };
  }

  #primary(): CelNode {
    const token = this.#take();
    const { at, text } = token;
    switch (token.type) {
      case 'int':
        return { type: 'literal', value: intLiteral(text, at), at };
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
        if (this.#accept('('))
          return { type: 'call', name: text, target: undefined, args: this.#list(')'), at };
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
    throw this.#unexpected();
  }

  #list(close: string): CelNode[] {
    const items: CelNode[] = [];
    while (!this.#accept(close)) {
      if (items.length > 0) {
        this.#expect(',');
        if (this.#accept(close)) break;
      }
      items.push(this.#expression());
    }
    return items;
  }

  #entries(): [CelNode, CelNode][] {
    const entries: [CelNode, CelNode][] = [];
    while (!this.#accept('}')) {
      if (entries.length > 0) {
        this.#expect(',');
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

function intLiteral(text: string, at: number): bigint {
  const value = BigInt(text);
  if (value > INT_MAX) throw new CelError(`invalid int literal: ${text}`, at);
  return value;
}
