import { RE2JS } from 're2js';
import { messageOf } from '../../src/base/fault.ts';
import { REGEX_LENGTH_MAX } from '../limits.ts';

/**
 * A regular expression somebody else wrote. Runs in time linear in the input (RE2), so it can never stall the
 * process; what RE2 does not have (look-around, back references) is refused when it is compiled.
 */
export interface UserRegex {
  readonly source: string;
  test(text: string): boolean;
  /** Captures of a match at the start of text: [whole, $1, ...]; missing groups are ''. */
  captures(text: string): string[] | undefined;
}

export interface UserRegexOptions {
  readonly ignoreCase: boolean;
  /** Only a match at offset 0 counts. */
  readonly anchored: boolean;
}

export function compileUserRegex(source: string, options: UserRegexOptions): UserRegex | { reason: string } {
  if (source.length > REGEX_LENGTH_MAX) return { reason: `longer than ${REGEX_LENGTH_MAX} characters` };
  try {
    const flags = options.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0;
    const pattern = RE2JS.compile(options.anchored ? `^(?:${source})` : source, flags);
    const literal = options.anchored ? literalPrefix(source) : '';
    const prefix = options.ignoreCase ? literal.toLowerCase() : literal;
    const possible = (text: string): boolean =>
      prefix === '' ||
      (options.ignoreCase ? text.slice(0, prefix.length).toLowerCase() : text.slice(0, prefix.length)) ===
        prefix;
    return {
      source,
      test: (text) => possible(text) && pattern.matcher(text).find(),
      captures(text) {
        if (!possible(text)) return undefined;
        const matcher = pattern.matcher(text);
        if (!matcher.find()) return undefined;
        return Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? '');
      },
    };
  } catch (error) {
    return { reason: messageOf(error) };
  }
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
