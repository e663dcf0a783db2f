import type { ZoneWord } from '../wire/zone-words.ts';

/** One entry of a master file: its words, over as many lines as its brackets span. */
export interface MasterEntry {
  /** Of its first word, from 1. */
  readonly line: number;
  /** It starts with blanks: the owner is that of the entry before. */
  readonly sameOwner: boolean;
  readonly words: readonly ZoneWord[];
}

/** Where the text cannot be split; nothing follows it. */
export interface EntryFault {
  readonly line: number;
  readonly reason: string;
}

/** Splits a master file (RFC 1035 5.1): comments away, brackets joined, quotes kept whole, escapes left as they are. */
export function masterEntries(text: string): Iterable<MasterEntry | EntryFault> {
  return new EntryReader(text).read();
}

const BLANK = /[ \t\r]/;
const ENDS_WORD = /[\s;()"]/;

class EntryReader {
  readonly #text: string;
  #at = 0;
  #line = 1;
  #depth = 0;
  readonly #entries: MasterEntry[] = [];
  #words: ZoneWord[] = [];
  #start = 1;
  #sameOwner = false;

  constructor(text: string) {
    this.#text = text;
  }

  *read(): Iterable<MasterEntry | EntryFault> {
    this.#sameOwner = BLANK.test(this.#text[0] ?? '');
    while (this.#at < this.#text.length) {
      const reason = this.#step(this.#text[this.#at]!);
      if (reason !== undefined) return yield { line: this.#line, reason };
      if (this.#entries.length > 0) yield* this.#entries.splice(0);
    }
    if (this.#depth > 0) return yield { line: this.#start, reason: '"(" is never closed' };
    this.#finish();
    yield* this.#entries;
  }

  /** Takes one character or word; the reason when it cannot. */
  #step(char: string): string | undefined {
    if (char === '\n') return this.#newLine();
    if (BLANK.test(char)) return this.#skip();
    if (char === ';') {
      const end = this.#text.indexOf('\n', this.#at);
      this.#at = end < 0 ? this.#text.length : end;
      return undefined;
    }
    if (char === '(' || char === ')') {
      this.#depth += char === '(' ? 1 : -1;
      return this.#depth < 0 ? '")" without "("' : this.#skip();
    }
    return char === '"' ? this.#quoted() : this.#word();
  }

  #skip(): undefined {
    this.#at++;
  }

  #newLine(): undefined {
    this.#at++;
    this.#line++;
    if (this.#depth > 0) return;
    this.#finish();
    this.#sameOwner = BLANK.test(this.#text[this.#at] ?? '');
  }

  #quoted(): string | undefined {
    let end = this.#at + 1;
    for (; end < this.#text.length && this.#text[end] !== '"'; end++) {
      if (this.#text[end] === '\\') end++;
      if (this.#text[end] === '\n') return 'a quote is never closed';
    }
    if (end >= this.#text.length) return 'a quote is never closed';
    this.#add(this.#text.slice(this.#at + 1, end), true);
    this.#at = end + 1;
    return undefined;
  }

  #word(): undefined {
    let end = this.#at;
    while (end < this.#text.length && !ENDS_WORD.test(this.#text[end]!)) {
      end += this.#text[end] === '\\' && this.#text[end + 1] !== '\n' ? 2 : 1;
    }
    end = Math.min(end, this.#text.length);
    this.#add(this.#text.slice(this.#at, end), false);
    this.#at = end;
  }

  #add(text: string, quoted: boolean): void {
    if (this.#words.length === 0) this.#start = this.#line;
    this.#words.push({ text, quoted });
  }

  #finish(): void {
    if (this.#words.length > 0) {
      this.#entries.push({ line: this.#start, sameOwner: this.#sameOwner, words: this.#words });
    }
    this.#words = [];
  }
}
