import { Fields, Role } from './fields.ts';

/**
 * Fields that mean something only before a body, and that some receivers take from behind it all the same: content,
 * authentication, cookies, request modifiers (RFC 9110 section 6.5.1). Framing, routing and forwarding have roles.
 */
const NEVER_BEHIND = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'max-forwards',
  'range',
  'set-cookie',
  'www-authenticate',
]);

/** The trailers that may go on; undefined when none is left. `also` are names (lower case) that are ours to write. */
export function permittedTrailers(
  trailers: Fields | undefined,
  also?: ReadonlySet<string>,
): Fields | undefined {
  if (!trailers) return undefined;
  const kept = new Fields();
  for (let i = 0; i < trailers.length; i++) {
    const name = trailers.names[i]!;
    const forbidden = name.role !== Role.PLAIN || NEVER_BEHIND.has(name.lower) || also?.has(name.lower);
    if (!forbidden && !name.lower.startsWith('ssl-client-')) kept.push(name, trailers.values[i]!);
  }
  return kept.length > 0 ? kept : undefined;
}
