import { CelError } from './budget.ts';

export type TokenType = 'ident' | 'int' | 'double' | 'string' | 'bytes' | 'operator' | 'end';

export interface Token {
  readonly type: TokenType;
  /** Operators and identifiers as written; strings and bytes with their escapes undone. */
  readonly text: string;
  readonly at: number;
}

const SPACE = /(?:[ \t\r\n\f]|\/\/[^\n]*)+/y;
const IDENT = /[A-Za-z_][A-Za-z0-9_]*/y;
const QUOTED_IDENT = /`([A-Za-z0-9_.\-/ ]+)`/y;
const NUMBER =
  /0x[0-9a-fA-F]+[uU]?|\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?|\d+[uU]?/y;
const STRING =
  /([rRbB]{0,2})('''(?:[^\\]|\\[\s\S])*?'''|"""(?:[^\\]|\\[\s\S])*?"""|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")/y;
/** A raw string ends at the first closing quote, whatever stands before it. */
const RAW_STRING = /([rR][bB]?|[bB][rR])('''[\s\S]*?'''|"""[\s\S]*?"""|'[^'\n]*'|"[^"\n]*")/y;
const OPERATOR = /\|\||&&|==|!=|<=|>=|[-+*/%!<>?:.,()[\]{}]/y;

/** Words that are no names of variables. */
export const RESERVED: ReadonlySet<string> = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  for (;;) {
    at += match(SPACE)?.[0].length ?? 0;
    if (at >= source.length) return [...tokens, { type: 'end', text: '', at }];
    const [token, length] = next(source, at, match);
    tokens.push(token);
    at += length;
  }
}

function next(
  source: string,
  at: number,
  match: (pattern: RegExp) => RegExpExecArray | null,
): [token: Token, length: number] {
  const raw = match(RAW_STRING);
  if (raw) {
    const type = /b/i.test(raw[1] ?? '') ? 'bytes' : 'string';
    return [{ type, text: unquoted(raw[2] ?? ''), at }, raw[0].length];
  }
  const text = match(STRING);
  if (text) {
    const bytes = /b/i.test(text[1] ?? '');
    const plain = unescape(unquoted(text[2] ?? ''), at);
    return [{ type: bytes ? 'bytes' : 'string', text: plain, at }, text[0].length];
  }
  const number = match(NUMBER);
  if (number) {
    const whole = /^(?:0x[0-9a-f]+|\d+)u?$/i.test(number[0]);
    const type = whole ? 'int' : 'double';
    return [{ type, text: whole ? number[0].replace(/u$/i, '') : number[0], at }, number[0].length];
  }
  const ident = match(IDENT);
  if (ident) {
    return [{ type: 'ident', text: ident[0], at }, ident[0].length];
  }
  const quoted = match(QUOTED_IDENT);
  if (quoted) return [{ type: 'ident', text: quoted[1] ?? '', at }, quoted[0].length];
  const operator = match(OPERATOR);
  if (operator) return [{ type: 'operator', text: operator[0], at }, operator[0].length];
  throw new CelError(`token recognition error at: ${JSON.stringify(source.slice(at, at + 10))}`, at);
}

function unquoted(text: string): string {
  const triple = text.startsWith("'''") || text.startsWith('"""') ? 3 : 1;
  return text.slice(triple, -triple);
}

const SIMPLE: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([\s\S]))/g;

function unescape(text: string, at: number): string {
  return text.replace(
    ESCAPE,
    (_whole, x?: string, u?: string, big?: string, octal?: string, one?: string) => {
      const hex = x ?? u ?? big;
      if (hex !== undefined) {
        const code = Number.parseInt(hex, 16);
        if (code > 0x10ffff) throw new CelError('invalid unicode code point', at);
        return String.fromCodePoint(code);
      }
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      if (one !== undefined && /[\\'"`?]/.test(one)) return one;
      const simple = SIMPLE[one ?? ''];
      if (simple === undefined) throw new CelError(`unknown escape sequence \\${one ?? ''}`, at);
      return simple;
    },
  );
}
