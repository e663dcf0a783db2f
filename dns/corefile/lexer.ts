import type { ConfigFault, Position, Token } from './syntax.ts';

/** A token and whether it is the first of its line: lines are what separates directives. */
export interface LexedToken extends Token {
  readonly startsLine: boolean;
}

export interface Lexed {
  readonly tokens: readonly LexedToken[];
  readonly faults: readonly ConfigFault[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Words between blanks; `"..."` may hold blanks and line ends, `\"` inside is a quote; `#` at the start of a word
 * comments out the line; a backslash at the end of a line joins the next. `{$NAME}` and `{%NAME%}` are replaced
 * by the environment (unset = nothing), in quotes as well; `__PILLAR__NAME__` too (unset = left as it is).
 */
export function lex(text: string, file: string, env: Environment): Lexed {
  return new Lexer(text.startsWith('\uFEFF') ? text.slice(1) : text, file, env).run();
}

class Lexer {
  readonly #text: string;
  readonly #file: string;
  readonly #env: Environment;
  readonly #tokens: LexedToken[] = [];
  readonly #faults: ConfigFault[] = [];
  #at = 0;
  #line = 1;
  #lineStart = 0;
  #startsLine = true;

  constructor(text: string, file: string, env: Environment) {
    this.#text = text;
    this.#file = file;
    this.#env = env;
  }

  run(): Lexed {
    while (this.#at < this.#text.length) this.#next();
    return { tokens: this.#tokens, faults: this.#faults };
  }

  #next(): void {
    const char = this.#text[this.#at]!;
    if (char === '\n') {
      this.#newLine();
      this.#startsLine = true;
    } else if (char === '\\' && /^\\\r?\n/.test(this.#text.slice(this.#at, this.#at + 3))) {
      this.#at = this.#text.indexOf('\n', this.#at);
      this.#newLine();
    } else if (/\s/.test(char)) this.#at++;
    else if (char === '#') this.#skipComment();
    else if (char === '"') this.#quoted();
    else this.#word();
  }

  #newLine(): void {
    this.#at++;
    this.#line++;
    this.#lineStart = this.#at;
  }

  #skipComment(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#text.length : end;
  }

  #position(): Position {
    return { file: this.#file, line: this.#line, column: this.#at - this.#lineStart + 1 };
  }

  #word(): void {
    const position = this.#position();
    const start = this.#at;
    while (this.#at < this.#text.length && !/\s/.test(this.#text[this.#at]!)) this.#at++;
    this.#push(this.#text.slice(start, this.#at), position, false);
  }

  #quoted(): void {
    const position = this.#position();
    let value = '';
    this.#at++;
    while (this.#at < this.#text.length && this.#text[this.#at] !== '"') {
      if (this.#text[this.#at] === '\\' && this.#text[this.#at + 1] === '"') this.#at++;
      value += this.#text[this.#at];
      if (this.#text[this.#at] === '\n') this.#newLine();
      else this.#at++;
    }
    if (this.#at >= this.#text.length) this.#faults.push({ position, message: 'this quote is never closed' });
    this.#at++;
    this.#push(value, position, true);
  }

  #push(raw: string, position: Position, quoted: boolean): void {
    const text = raw
      .replace(/\{\$([^{}\s]+)\}|\{%([^{}\s]+)%\}/g, (_all, unix?: string, dos?: string) => {
        return this.#env[unix ?? dos ?? ''] ?? '';
      })
      .replace(/__PILLAR__\w+?__(?=[^A-Z_]|$)/g, (name) => this.#env[name] ?? name);
    if (text !== '' || quoted) this.#tokens.push({ text, position, quoted, startsLine: this.#startsLine });
    this.#startsLine = false;
  }
}
