import { RE2JS } from 're2js';
import { messageOf } from '../src/base/fault.ts';
import type { Token } from './corefile/syntax.ts';
import type { SetupContext } from './plugin.ts';

/** Longer expressions are refused when the Corefile is read. */
const REGEX_CHARACTERS = 10_000;

export interface RegexMatch {
  /** The whole match, then $1, $2 ...; '' for a group that took no part. */
  readonly groups: readonly string[];
  readonly named: Readonly<Record<string, string>>;
  readonly start: number;
  readonly end: number;
}

/**
 * A regular expression of a Corefile. It runs in time linear in the text (RE2, as in CoreDNS), so no expression and
 * no question can stall the server; look-around and back references are refused.
 */
export interface UserRegex {
  readonly source: string;
  test(text: string): boolean;
  /** The first match anywhere in text. */
  match(text: string): RegexMatch | undefined;
}

export function compileRegex(source: string): UserRegex | { readonly reason: string } {
  if (source.length > REGEX_CHARACTERS) return { reason: `longer than ${REGEX_CHARACTERS} characters` };
  try {
    const pattern = RE2JS.compile(source);
    const names = Object.entries(pattern.namedGroups() as Readonly<Record<string, number>>);
    return {
      source,
      test: (text) => pattern.matcher(text).find(),
      match: (text) => {
        const matcher = pattern.matcher(text);
        if (!matcher.find()) return undefined;
        const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? '');
        const named = Object.fromEntries(names.map(([name, i]) => [name, groups[i] ?? '']));
        return { groups, named, start: matcher.start(0), end: matcher.end(0) };
      },
    };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}

/** Reports a fault at the token and returns undefined when it is no regular expression. */
export function readRegex(context: SetupContext, token: Token): UserRegex | undefined {
  const regex = compileRegex(token.text);
  if ('test' in regex) return regex;
  context.fault(token, `"${token.text}" is not a regular expression: ${regex.reason}`);
  return undefined;
}
