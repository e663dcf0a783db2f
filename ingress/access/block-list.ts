import { compileUserRegex, regexMatches } from '../compile/user-regex.ts';
import type { RequestContext } from '../relay/context.ts';
import { type Reply, reply } from '../relay/reply.ts';

/** One entry of block-user-agents or block-referers: the whole text in any case, `~` a pattern, `~*` one in any case. */
type Test = (text: string) => boolean;

/** Lists stay as they were read, so that settings are plain data; their tests are made once. */
const tests = new WeakMap<readonly string[], readonly Test[]>();

/** What clients of the block lists are answered; undefined = it is none of them. */
export function blockedReply({ settings, head }: RequestContext): Reply | undefined {
  if (isBlocked(settings.blockedAgents, head.fields.get('user-agent')))
    return reply(403, 'block-user-agents');
  if (isBlocked(settings.blockedReferers, head.fields.get('referer'))) return reply(403, 'block-referers');
  return undefined;
}

/** True when one of the entries matches. */
function isBlocked(entries: readonly string[], text: string | undefined): boolean {
  if (entries.length === 0) return false;
  let made = tests.get(entries);
  if (!made) tests.set(entries, (made = entries.flatMap((entry) => testOf(entry) ?? [])));
  return made.some((test) => test(text ?? ''));
}

/** Undefined for a pattern that cannot be used. */
export function testOf(entry: string): Test | undefined {
  if (!entry.startsWith('~')) {
    const whole = entry.toLowerCase();
    return (text) => text.toLowerCase() === whole;
  }
  const ignoreCase = entry.startsWith('~*');
  const compiled = compileUserRegex(entry.slice(ignoreCase ? 2 : 1), { ignoreCase, anchored: false });
  return 'reason' in compiled ? undefined : (text) => regexMatches(compiled, text);
}
