import { CelError } from './budget.ts';
import type { SourceError } from './source-errors.ts';

export type TokenType = 'ident' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'operator' | 'end';

export interface Token {
  readonly type: TokenType;
  /** Operators and identifiers as written; strings and bytes with their escapes undone. */
  readonly text: string;
  /** As written. */
  readonly raw: string;
  readonly at: number;
}

type Read = Omit<Token, 'raw'>;

const SPACE = /(?:[ \t\r\n\f]|\/\/[^\n]*)+/y;
const IDENT = /[A-Za-z_][A-Za-z0-9_]*/y;
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

/** What cannot be read is left out and told in `errors`. */
export function tokenize(source: string): { readonly tokens: Token[]; readonly errors: SourceError[] } {
  const tokens: Token[] = [];
  const errors: SourceError[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  for (;;) {
    at += match(SPACE)?.[0].length ?? 0;
    if (at >= source.length) break;
    const found = next(at, match);
    const length = found?.[1] ?? unreadable(match);
    const raw = source.slice(at, at + length);
    if (found) tokens.push({ ...found[0], raw });
    else
      errors.push({
        at,
        message: `Syntax error: token recognition error at: '${raw.replace(/\n/g, '\\n')}'`,
      });
    at += length;
  }
  return { tokens: [...tokens, { type: 'end', text: '', raw: '<EOF>', at: source.length }], errors };
}

/** Half an operator with what follows it, the rest of a line with an open string, or one character. */
const BROKEN = /[=&|][\s\S]?|['"](?:[^\\'"\n]|\\['"`?abfnrtv\\])*(?:\\[\s\S]?|\n)?|[\s\S]/uy;

const unreadable = (match: (pattern: RegExp) => RegExpExecArray | null): number =>
  match(BROKEN)?.[0].length ?? 1;

function next(
  at: number,
  match: (pattern: RegExp) => RegExpExecArray | null,
): [token: Read, length: number] | undefined {
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
    const unsigned = whole && /u$/i.test(number[0]);
    const type = unsigned ? 'uint' : whole ? 'int' : 'double';
    return [{ type, text: unsigned ? number[0].slice(0, -1) : number[0], at }, number[0].length];
  }
  const ident = match(IDENT);
  if (ident) {
    return [{ type: 'ident', text: ident[0], at }, ident[0].length];
  }
  const operator = match(OPERATOR);
  return operator ? [{ type: 'operator', text: operator[0], at }, operator[0].length] : undefined;
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
