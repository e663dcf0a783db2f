import { regexMatches } from '../compile/user-regex.ts';
import type { CanaryPolicy } from '../policy.ts';
import type { RoutedRequest } from '../relay/context.ts';
import { cookieValue } from '../relay/variables.ts';

/** Whether a canary takes a request: header, then cookie, then weight (ingress-nginx order). */
export function canaryTakes(policy: CanaryPolicy, request: RoutedRequest, random: () => number): boolean {
  const byHeader = headerVerdict(policy, request);
  if (byHeader !== undefined) return byHeader;
  if (policy.cookie !== undefined) {
    const value = cookieValue(request.head.fields.joined('cookie'), policy.cookie);
    if (value === 'always') return true;
    if (value === 'never') return false;
  }
  return policy.weight > 0 && random() * policy.weightTotal < policy.weight;
}

/** With a value only that value counts, with a pattern only the pattern; a broken pattern ends the decision. */
function headerVerdict(policy: CanaryPolicy, request: RoutedRequest): boolean | undefined {
  if (policy.header === undefined) return undefined;
  const value = request.head.fields.get(policy.header);
  if (value === undefined) return undefined;
  if (policy.headerValue !== undefined && policy.headerValue !== '') {
    return value === policy.headerValue ? true : undefined;
  }
  if (policy.headerPattern === 'broken') return false;
  if (policy.headerPattern) return regexMatches(policy.headerPattern, value) ? true : undefined;
  if (value === 'always') return true;
  return value === 'never' ? false : undefined;
}
