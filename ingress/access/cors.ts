import type { Fields } from '../http/fields.ts';
import type { CorsPolicy } from '../policy.ts';
import { type Reply, reply } from '../relay/reply.ts';

/**
 * enable-cors and cors-*: preflights are answered here, every other answer gets the fields too (Fetch standard, CORS
 * protocol). An origin that is not allowed gets no answer of ours: its OPTIONS goes to the backend like any request.
 */
export function preflightReply(policy: CorsPolicy, origin: string | undefined): Reply | undefined {
  const allowed = allowedOrigin(policy, origin);
  if (allowed === undefined) return undefined;
  const answer = reply(204, 'CORS preflight');
  answer.fields.remove('content-type');
  addCors(policy, allowed, answer.fields);
  return answer;
}

/** Adds the CORS fields to an answer; the backend's own are replaced. */
export function applyCors(policy: CorsPolicy, origin: string | undefined, fields: Fields): void {
  const allowed = allowedOrigin(policy, origin);
  if (allowed === undefined) return;
  addCors(policy, allowed, fields);
}

function addCors(policy: CorsPolicy, origin: string, fields: Fields): void {
  fields.set('Access-Control-Allow-Origin', origin);
  if (origin !== '*') fields.add('Vary', 'Origin');
  fields.set('Access-Control-Allow-Methods', policy.methods);
  fields.set('Access-Control-Allow-Headers', policy.headers);
  fields.set('Access-Control-Max-Age', String(policy.maxAgeSeconds));
  if (policy.credentials) fields.set('Access-Control-Allow-Credentials', 'true');
  if (policy.exposeHeaders !== undefined) fields.set('Access-Control-Expose-Headers', policy.exposeHeaders);
}

function allowedOrigin(policy: CorsPolicy, origin: string | undefined): string | undefined {
  if (policy.origins.includes('*')) return '*';
  if (origin === undefined) return undefined;
  const lower = origin.toLowerCase();
  return policy.origins.some((pattern) => originMatches(pattern, lower)) ? origin : undefined;
}

/** `scheme://host[:port]`, equal, or with exactly one label in the place of `*`. */
function originMatches(pattern: string, origin: string): boolean {
  const star = pattern.indexOf('://*.');
  if (star < 0) return pattern === origin;
  const scheme = pattern.slice(0, star + 3);
  const suffix = pattern.slice(star + 4);
  if (!origin.startsWith(scheme) || !origin.endsWith(suffix)) return false;
  const label = origin.slice(scheme.length, origin.length - suffix.length);
  return label !== '' && /^[a-z0-9-]+$/.test(label);
}
