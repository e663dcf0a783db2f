import { lex, type Environment, type LexedToken } from './lexer.ts';
import type { BlockSyntax, ConfigFault, Line, Token } from './syntax.ts';

/** Import depth beyond which a file or snippet must be importing itself. */
export const IMPORT_DEPTH_MAX = 32;
/** Tokens of one configuration, imports included. */
export const TOKENS_MAX = 200_000;

/** Reads the files that match a pattern given in `from`; an empty list when there are none. May throw. */
export type ReadFiles = (pattern: string, from: string) => readonly { path: string; text: string }[];

export interface ParseOptions {
  readonly env: Environment;
  readonly readFiles: ReadFiles;
}

export interface Parsed {
  readonly blocks: readonly BlockSyntax[];
  readonly faults: readonly ConfigFault[];
}

/** Parses a whole Corefile: server blocks, snippets, imports. All faults are collected. */
export function parseCorefile(text: string, file: string, options: ParseOptions): Parsed {
  const faults: ConfigFault[] = [];
  const lexed = lex(text, file, options.env);
  faults.push(...lexed.faults);
  const parser = new Parser([...lexed.tokens], options, faults);
  return { blocks: parser.blocks(), faults };
}

class Parser {
  readonly #tokens: LexedToken[];
  readonly #options: ParseOptions;
  readonly #faults: ConfigFault[];
  readonly #snippets = new Map<string, readonly LexedToken[]>();
  /** Imports that are being read: where their tokens end, counted from the end of the list. */
  #open: { readonly leftAtEnd: number }[] = [];
  #at = 0;

  constructor(tokens: LexedToken[], options: ParseOptions, faults: ConfigFault[]) {
    this.#tokens = tokens;
    this.#options = options;
    this.#faults = faults;
  }

  blocks(): BlockSyntax[] {
    const blocks: BlockSyntax[] = [];
    for (let token = this.#peek(); token; token = this.#peek()) {
      if (this.#isImport(token)) this.#expandImport();
      else if (isBrace(token, '}')) this.#fault(this.#take(), 'this brace closes nothing');
      else if (isBrace(token, '{')) this.#skipUnnamedBlock();
      else if (/^\(.+\)$/.test(token.text) && !token.quoted) this.#snippet();
      else blocks.push(this.#block());
    }
    return blocks;
  }

  #snippet(): void {
    const name = this.#take();
    const open = this.#peek();
    if (!open || !isBrace(open, '{'))
      return this.#fault(name, `snippet ${name.text} needs a { behind its name`);
    this.#take();
    const start = this.#at;
    let depth = 1;
    while (depth > 0) {
      const token = this.#peek();
      if (!token) return this.#fault(open, 'this brace is never closed');
      this.#take();
      if (isBrace(token, '{')) depth++;
      if (isBrace(token, '}')) depth--;
    }
    this.#snippets.set(name.text.slice(1, -1), this.#tokens.slice(start, this.#at - 1));
  }

  #block(): BlockSyntax {
    const keys: Token[] = [];
    let token = this.#peek();
    let continues = true;
    while (token && !isBrace(token, '{') && (continues || !token.startsLine)) {
      this.#take();
      for (const text of token.text.split(',')) if (text !== '') keys.push({ ...token, text });
      continues = token.text.endsWith(',');
      token = this.#peek();
    }
    if (token && isBrace(token, '{')) {
      this.#take();
      return { keys, directives: this.#lines(token) };
    }
    return { keys, directives: this.#lines(undefined) };
  }

  #skipUnnamedBlock(): void {
    const open = this.#take();
    this.#fault(
      open,
      'a server block needs a zone in front of its brace, for example "." or "cluster.local"',
    );
    this.#lines(open);
  }

  /** Lines up to the closing brace of open, or to the end of the file when there is no brace. */
  #lines(open: Token | undefined): Line[] {
    const lines: Line[] = [];
    for (;;) {
      const token = this.#peek();
      if (!token) {
        if (open) this.#fault(open, 'this brace is never closed');
        return lines;
      }
      if (isBrace(token, '}')) {
        this.#take();
        if (open) return lines;
        this.#fault(token, 'this brace closes nothing');
      } else if (isBrace(token, '{')) {
        this.#fault(token, 'this brace must stand at the end of the line that names it');
        this.#take();
        this.#lines(token);
      } else if (this.#isImport(token)) this.#expandImport();
      else lines.push(this.#lineOf(this.#take()));
    }
  }

  #lineOf(name: Token): Line {
    const args: Token[] = [];
    for (let token = this.#peek(); token; token = this.#peek()) {
      if (isBrace(token, '{')) return { name, args, body: this.#lines(this.#take()) };
      if (token.startsLine || isBrace(token, '}')) break;
      args.push(this.#take());
    }
    return { name, args, body: undefined };
  }

  #isImport(token: LexedToken): boolean {
    return token.text === 'import' && token.startsLine && !token.quoted;
  }

  #expandImport(): void {
    const word = this.#take();
    const what = this.#peek();
    if (!what || what.startsLine) return this.#fault(word, 'import needs the name of a snippet or of a file');
    this.#take();
    this.#open = this.#open.filter(({ leftAtEnd }) => this.#tokens.length - this.#at > leftAtEnd);
    if (this.#open.length >= IMPORT_DEPTH_MAX) return this.#fault(what, `"${what.text}" imports itself`);
    const found = this.#snippets.get(what.text) ?? this.#fileTokens(what);
    if (this.#tokens.length + found.length > TOKENS_MAX) {
      return this.#fault(what, `with this import the configuration has more than ${TOKENS_MAX} words`);
    }
    this.#open.push({ leftAtEnd: this.#tokens.length - this.#at });
    this.#tokens.splice(this.#at, 0, ...found);
  }

  #fileTokens(what: Token): LexedToken[] {
    try {
      const files = this.#options.readFiles(what.text, what.position.file);
      if (files.length === 0 && !/[*?[]/.test(what.text)) {
        this.#fault(what, `no snippet and no file is named "${what.text}"`);
      }
      return files.flatMap(({ path, text }) => {
        const lexed = lex(text, path, this.#options.env);
        this.#faults.push(...lexed.faults);
        return lexed.tokens;
      });
    } catch (error) {
      this.#fault(what, `cannot read "${what.text}": ${(error as Error).message}`);
      return [];
    }
  }

  #peek(): LexedToken | undefined {
    return this.#tokens[this.#at];
  }

  #take(): LexedToken {
    return this.#tokens[this.#at++]!;
  }

  #fault(at: Token, message: string): void {
    this.#faults.push({ position: at.position, message });
  }
}

function isBrace(token: Token, brace: '{' | '}'): boolean {
  return token.text === brace && !token.quoted;
}
