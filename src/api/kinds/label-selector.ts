/** The text form of label selectors (apimachinery pkg/labels): tokens, grammar and its words for what is wrong. */
import { labelValue, qualifiedName } from './formats.ts';
import { MAX_SELECTOR_REQUIREMENTS } from './limits.ts';
import type { LabelOperator, LabelRequirement, ParsedLabels } from './selector.ts';

const SYMBOLS = new Set(['=', '==', '!=', '!', '(', ')', ',', '>', '<']);
const OPERATORS = 'in, notin, =, ==, !=, gt, lt';
/** The end of the text, as a token. */
const END = '';

/** What upstream would answer; carried out of the grammar, never out of this file. */
class Wrong extends Error {}

class Tokens {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = text.match(/==|!=|[=!(),<>]|[^\s=!(),<>]+/g) ?? [];
  }

  get next(): string {
    return this.#tokens[this.#at] ?? END;
  }

  take(): string {
    const token = this.next;
    this.#at += 1;
    return token;
  }
}

const isName = (token: string): boolean => token !== END && !SYMBOLS.has(token);

/** Parses `a=b,c!=d,e in (x,y),f notin (z),g,!h`; the text of labelSelector= in a request. */
export function parseLabelSelector(text: string): ParsedLabels {
  try {
    return { ok: true, query: parseQuery(new Tokens(text)) };
  } catch (error) {
    if (error instanceof Wrong) return { ok: false, message: error.message };
    throw error;
  }
}

function parseQuery(tokens: Tokens): LabelRequirement[] {
  const query: LabelRequirement[] = [];
  for (;;) {
    const token = tokens.next;
    if (token === END) return query;
    if (!isName(token) && token !== '!')
      throw new Wrong(`found '${token}', expected: !, identifier, or 'end of string'`);
    if (query.length >= MAX_SELECTOR_REQUIREMENTS) throw new Wrong('too many requirements');
    query.push(parseRequirement(tokens));
    const after = tokens.take();
    if (after === END) return query;
    if (after !== ',') throw new Wrong(`found '${after}', expected: ',' or 'end of string'`);
    if (!isName(tokens.next) && tokens.next !== '!')
      throw new Wrong(`found '${tokens.next}', expected: identifier after ','`);
  }
}

function unparsable(why: string): Wrong {
  return new Wrong(`unable to parse requirement: ${why}`);
}

function parseRequirement(tokens: Tokens): LabelRequirement {
  const absent = tokens.next === '!';
  if (absent) tokens.take();
  const key = tokens.take();
  if (!isName(key)) throw unparsable(`found '${key}', expected: identifier`);
  const [wrong] = qualifiedName(key);
  if (wrong) throw unparsable(`<nil>: Invalid value: ${JSON.stringify(key)}: ${wrong}`);
  if (absent) return { key, operator: '!', values: [] };
  if (tokens.next === END || tokens.next === ',') return { key, operator: 'exists', values: [] };
  const operator = operatorOf(tokens.take());
  const values = operator === 'in' || operator === 'notin' ? parseValues(tokens) : [parseValue(tokens)];
  return checked(key, operator, values);
}

function operatorOf(token: string): LabelOperator {
  switch (token) {
    case '==':
      return '=';
    case '=':
    case '!=':
    case '>':
    case '<':
    case 'in':
    case 'notin':
      return token;
    default:
      throw unparsable(`found '${token}', expected: ${OPERATORS}`);
  }
}

function parseValue(tokens: Tokens): string {
  if (tokens.next === END || tokens.next === ',') return '';
  const value = tokens.take();
  if (!isName(value)) throw unparsable(`found '${value}', expected: identifier`);
  return value;
}

/** `(a,b)`; nothing between two commas is the empty value. */
function parseValues(tokens: Tokens): string[] {
  const open = tokens.take();
  if (open !== '(') throw unparsable(`found '${open}' expected: '('`);
  const values: string[] = [];
  if (tokens.next !== ')' && tokens.next !== ',' && !isName(tokens.next))
    throw unparsable(`found '${tokens.next}', expected: ',', ')' or identifier`);
  while (tokens.next !== ')') {
    values.push(isName(tokens.next) ? tokens.take() : '');
    if (tokens.next === ')') break;
    const comma = tokens.take();
    if (comma !== ',') throw unparsable(`found '${comma}', expected: ',' or ')'`);
    if (tokens.next === ')') values.push('');
  }
  tokens.take();
  return values.length === 0 ? [''] : [...new Set(values)];
}

function checked(key: string, operator: LabelOperator, values: readonly string[]): LabelRequirement {
  if ((operator === '>' || operator === '<') && !/^-?\d+$/.test(values[0] ?? '')) {
    const shown = JSON.stringify(values[0]);
    throw unparsable(
      `values[0]: Invalid value: ${shown}: for 'Gt', 'Lt' operators, the value must be an integer`,
    );
  }
  for (const [index, value] of values.entries()) {
    const [error] = labelValue(value);
    if (error)
      throw unparsable(`values[${index}][${key}]: Invalid value: ${JSON.stringify(value)}: ${error}`);
  }
  return { key, operator, values };
}
