import type { AffinityPolicy } from '../policy.ts';
import type { RoutedRequest } from '../relay/context.ts';
import { cookieValue } from '../relay/variables.ts';
import type { EndpointState } from '../upstream/cluster.ts';
import { hashText } from './ring.ts';

/**
 * The affinity cookie: `id`, `id.endpoint` (persistent) and `canary-` in front of ids that belong to a canary. It holds
 * hashes only: nobody learns addresses from it.
 */
export interface AffinityCookie {
  readonly id: string;
  /** Hash of the endpoint, for persistent affinity. */
  readonly endpoint: string | undefined;
  readonly canary: boolean;
}

export function readAffinityCookie(
  request: RoutedRequest,
  policy: AffinityPolicy,
): AffinityCookie | undefined {
  const value = cookieValue(request.head.fields.joined('cookie'), policy.cookie);
  const match = /^(canary-)?([0-9a-f]{16,32})(?:\.([0-9a-f]{8}))?$/.exec(value ?? '');
  return match ? { id: match[2]!, endpoint: match[3], canary: match[1] !== undefined } : undefined;
}

export function endpointMark(endpoint: EndpointState): string {
  return hashText(endpoint.id).toString(16).padStart(8, '0');
}

/** The Set-Cookie value that keeps a client where it is. */
export function affinityCookie(
  request: RoutedRequest,
  policy: AffinityPolicy,
  cookie: AffinityCookie,
  nowMs: number,
): string {
  const value = `${cookie.canary ? 'canary-' : ''}${cookie.id}${cookie.endpoint === undefined ? '' : `.${cookie.endpoint}`}`;
  const { route } = request;
  const rulePath = route.pathType === 'Regex' ? '/' : route.path;
  let text = `${policy.cookie}=${value}; Path=${policy.path ?? rulePath}`;
  if (policy.domain !== undefined) text += `; Domain=${policy.domain}`;
  if (policy.expiresSeconds !== undefined)
    text += `; Expires=${new Date(nowMs + policy.expiresSeconds * 1000).toUTCString()}`;
  if (policy.maxAgeSeconds !== undefined) text += `; Max-Age=${policy.maxAgeSeconds}`;
  if (policy.secure ?? request.scheme === 'https') text += '; Secure';
  text += '; HttpOnly';
  if (
    policy.sameSite !== undefined &&
    !(policy.sameSite === 'None' && policy.conditionalSameSiteNone && refusesNone(request))
  ) {
    text += `; SameSite=${policy.sameSite}`;
  }
  return text;
}

/** Browsers that took SameSite=None for Strict (Chrome 51 to 66, Safari of 2018). */
function refusesNone(request: RoutedRequest): boolean {
  const agent = request.head.fields.get('user-agent') ?? '';
  return /Chrome\/(5[1-9]|6[0-6])\.|iPhone OS 12_|iPad; CPU OS 12_|Mac OS X 10_14.*Version\/.*Safari/.test(
    agent,
  );
}
