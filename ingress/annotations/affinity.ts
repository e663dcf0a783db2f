import type { AffinityPolicy } from '../policy.ts';
import type { AnnotationReader } from './reader.ts';

/** Row 23: affinity and session-cookie-*. */
export function readAffinity(read: AnnotationReader): AffinityPolicy | undefined {
  const affinity = read.oneOf('affinity', ['cookie']);
  const mode = read.oneOf('affinity-mode', ['balanced', 'persistent']);
  const canary = read.oneOf('affinity-canary-behavior', ['sticky', 'legacy']);
  const policy: AffinityPolicy = {
    cookie: read.token('session-cookie-name') ?? 'INGRESSCOOKIE',
    path: cookieText(read, 'session-cookie-path'),
    domain: cookieText(read, 'session-cookie-domain'),
    maxAgeSeconds: read.integer('session-cookie-max-age'),
    expiresSeconds: read.integer('session-cookie-expires'),
    sameSite: read.oneOf('session-cookie-samesite', ['None', 'Lax', 'Strict']),
    conditionalSameSiteNone: read.bool('session-cookie-conditional-samesite-none') ?? false,
    secure: read.bool('session-cookie-secure'),
    changeOnFailure: read.bool('session-cookie-change-on-failure') ?? false,
    persistent: mode === 'persistent',
    canarySticky: canary !== 'legacy',
  };
  return affinity === 'cookie' ? policy : undefined;
}

function cookieText(read: AnnotationReader, name: string): string | undefined {
  const text = read.fieldValue(name);
  return text === undefined || !/[;,\s]/.test(text) ? text : read.refuse(name, 'may not stand in a cookie');
}
