import { RE2JS } from 're2js';
import { messageOf } from '../../src/base/fault.ts';
import { REGEX_LENGTH_MAX } from '../limits.ts';

/**
 * A regular expression somebody else wrote, as plain data: it crosses to other threads, and what it compiles to is made
 * once in each. Runs in time linear in the input (RE2), so it can never stall the process; what RE2 does not have
 * (look-around, back references) is refused when it is compiled.
 */
export interface UserRegex extends UserRegexOptions {
  readonly source: string;
}

export interface UserRegexOptions {
  readonly ignoreCase: boolean;
  /** Only a match at offset 0 counts. */
  readonly anchored: boolean;
}

interface Compiled {
  readonly pattern: RE2JS;
  /** What every match begins with; in lower case where case does not count. */
  readonly prefix: string;
}

const compiledOnes = new WeakMap<UserRegex, Compiled>();

export function compileUserRegex(source: string, options: UserRegexOptions): UserRegex | { reason: string } {
  if (source.length > REGEX_LENGTH_MAX) return { reason: `longer than ${REGEX_LENGTH_MAX} characters` };
  try {
    const regex: UserRegex = { source, ...options };
    compiled(regex);
    return regex;
  } catch (error) {
    return { reason: messageOf(error) };
  }
}

export function regexMatches(regex: UserRegex, text: string): boolean {
  const { pattern, prefix } = compiled(regex);
  return mayMatch(regex, prefix, text) && pattern.matcher(text).find();
}

/** Captures of the first match: [whole, $1, ...]; missing groups are ''. */
export function regexCaptures(regex: UserRegex, text: string): string[] | undefined {
  const { pattern, prefix } = compiled(regex);
  if (!mayMatch(regex, prefix, text)) return undefined;
  const matcher = pattern.matcher(text);
  if (!matcher.find()) return undefined;
  return Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? '');
}

/** Throws what RE2 says of a pattern it does not take. */
function compiled(regex: UserRegex): Compiled {
  const known = compiledOnes.get(regex);
  if (known) return known;
  const { source, ignoreCase, anchored } = regex;
  const literal = anchored ? literalPrefix(source) : '';
  const made: Compiled = {
    pattern: RE2JS.compile(anchored ? `^(?:${source})` : source, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0),
    prefix: ignoreCase ? literal.toLowerCase() : literal,
  };
  compiledOnes.set(regex, made);
  return made;
}

function mayMatch({ ignoreCase }: UserRegex, prefix: string, text: string): boolean {
  if (prefix === '') return true;
  const start = text.slice(0, prefix.length);
  return (ignoreCase ? start.toLowerCase() : start) === prefix;
}

const META = /[\\^$.|?*+()[\]{}]/;

/** True when the text means something else as a regular expression than as a literal. */
export function hasRegexMeaning(text: string): boolean {
  return META.test(text.replaceAll('.', ''));
}

/** What every match must start with: the characters before the first one with a meaning. */
export function literalPrefix(source: string): string {
  const at = source.search(META);
  const literal = at < 0 ? source : source.slice(0, at);
  if (source.includes('|') && topLevelAlternation(source)) return '';
  // A quantifier applies to the character before it.
  return at >= 0 && '?*{'.includes(source[at]!) ? literal.slice(0, -1) : literal;
}

function topLevelAlternation(source: string): boolean {
  let depth = 0;
  for (let i = 0; i < source.length; i++) {
    const char = source[i];
    if (char === '\\') i++;
    else if (char === '(' || char === '[') depth++;
    else if (char === ')' || char === ']') depth--;
    else if (char === '|' && depth === 0) return true;
  }
  return false;
}
