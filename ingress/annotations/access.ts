import type { AccessPolicy, BasicAuthPolicy, ExternalAuthPolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';
import { AnnotationReader, type AnnotationVerdict, parseDurationMs, PREFIX } from './reader.ts';
import { isFieldValue, isToken } from '../http/bytes.ts';

/** Rows 13 to 18: source ranges, basic and external auth. `closed` names what could not be understood: nothing may pass then. */
export function readAccess(
  read: AnnotationReader,
  settings: GlobalSettings,
): { access: AccessPolicy; closed: string | undefined } {
  const allow = read.cidrs('allowlist-source-range') ?? read.cidrs('whitelist-source-range');
  if (read.has('allowlist-source-range')) read.cidrs('whitelist-source-range');
  const deny = read.cidrs('denylist-source-range') ?? [];
  const basic = readBasic(read);
  const own = readExternal(read);
  const global = readGlobalAuthWanted(read) && !read.has('auth-url') ? settings.globalAuth : undefined;
  const external = own ?? (global === 'unusable' ? undefined : global);
  const satisfy = read.oneOf('satisfy', ['all', 'any']);
  const refused = CLOSING.find((name) => read.wasRefused(name));
  const closed = refused ?? (global === 'unusable' ? 'global-auth-url of the ConfigMap' : undefined);
  return { access: { allow, deny, basic, external, satisfyAny: satisfy === 'any' }, closed };
}

/** Annotations that protect: when one cannot be understood the path is closed, not opened. */
const CLOSING = [
  'allowlist-source-range',
  'whitelist-source-range',
  'denylist-source-range',
  'auth-type',
  'auth-secret',
  'auth-secret-type',
  'auth-url',
  'auth-method',
  'auth-signin',
  'auth-tls-secret',
  'auth-tls-verify-client',
  'auth-tls-match-cn',
  'auth-tls-verify-depth',
  'satisfy',
  'auth-snippet',
  'enable-global-auth',
  'auth-proxy-set-headers',
  'auth-response-headers',
];

function readBasic(read: AnnotationReader): BasicAuthPolicy | undefined {
  const type = read.oneOf('auth-type', ['basic', 'digest']);
  const secret = read.reference('auth-secret');
  const secretType = read.oneOf('auth-secret-type', ['auth-file', 'auth-map']) ?? 'auth-file';
  const realm = read.fieldValue('auth-realm') ?? '';
  if (type === 'digest')
    return read.refuse('auth-type', 'digest uses MD5 (RFC 7616 deprecates it); use basic over TLS');
  if (type === undefined) return undefined;
  if (secret === undefined) return read.refuse('auth-type', 'auth-secret is missing or unusable');
  return { realm: realm.replaceAll(/["\\]/g, ''), secret, secretType };
}

function readExternal(read: AnnotationReader): ExternalAuthPolicy | undefined {
  const url = read.location('auth-url');
  const signin = read.location('auth-signin');
  const parts = {
    method: read.token('auth-method')?.toUpperCase(),
    signinRedirectParam: read.token('auth-signin-redirect-param') ?? 'rd',
    responseHeaders: readNames(read, 'auth-response-headers'),
    cacheKey: read.text('auth-cache-key'),
    cacheDurations: readCacheDurations(read),
    requestRedirect: read.fieldValue('auth-request-redirect'),
    proxySetHeaders: read.reference('auth-proxy-set-headers'),
    alwaysSetCookie: read.bool('auth-always-set-cookie') ?? false,
  };
  for (const name of [
    'auth-keepalive',
    'auth-keepalive-requests',
    'auth-keepalive-timeout',
    'auth-keepalive-share-vars',
  ]) {
    read.text(name);
    read.differs(name, 'connections to auth services are always kept');
  }
  if (url === undefined) return undefined;
  if (!/^https?:\/\//.test(url)) return read.refuse('auth-url', 'must be an absolute URL');
  return { url, signin, ...parts };
}

function readGlobalAuthWanted(read: AnnotationReader): boolean {
  return read.bool('enable-global-auth') ?? true;
}

/** Start of the ConfigMap's keys that hold for every Ingress. */
export const GLOBAL_AUTH = 'global-auth-';

/** global-auth-* of the ConfigMap: the same words as the annotations, read the same way. */
export function readGlobalAuth(data: Readonly<Record<string, string>>): {
  policy: ExternalAuthPolicy | 'unusable' | undefined;
  verdicts: AnnotationVerdict[];
} {
  const given = Object.entries(data).filter(
    ([key, value]) => key.startsWith(GLOBAL_AUTH) && value.trim() !== '',
  );
  const read = new AnnotationReader(
    '',
    Object.fromEntries(given.map(([key, value]) => [PREFIX + key.slice('global-'.length), value])),
  );
  const policy = readExternal(read);
  const snippet = read.has('auth-snippet');
  if (snippet) read.refuse('auth-snippet', 'nginx text is never taken: use global-auth-response-headers');
  const closed = snippet || CLOSING.some((name) => read.wasRefused(name));
  const verdicts = read.verdicts().map((each) => ({ ...each, annotation: `global-${each.annotation}` }));
  return { policy: closed ? 'unusable' : policy, verdicts };
}

function readNames(read: AnnotationReader, name: string): string[] {
  const names = read.list(name) ?? [];
  const odd = names.find((each) => !isToken(each));
  if (odd !== undefined) read.refuse(name, `${odd} is no header name`);
  return names.filter((each) => isToken(each));
}

/** `200 202 401 5m, 404 30s`; durations without codes hold for 200, 202 and 401. */
function readCacheDurations(read: AnnotationReader): ReadonlyMap<number, number> {
  const durations = new Map<number, number>();
  for (const part of read.list('auth-cache-duration') ?? []) {
    const words = part.split(/\s+/);
    const durationMs = parseDurationMs(words.at(-1)!);
    const codes = words.length === 1 ? [200, 202, 401] : words.slice(0, -1).map(Number);
    if (durationMs === undefined || codes.some((code) => !(code >= 100 && code <= 599))) {
      read.refuse('auth-cache-duration', `${part} is not codes and a time`);
      return new Map();
    }
    for (const code of codes) durations.set(code, durationMs);
  }
  if (durations.size === 0 && read.has('auth-cache-key'))
    for (const code of [200, 202, 401]) durations.set(code, 300_000);
  return durations;
}

export function isSafeHeader(name: string, value: string): boolean {
  return isToken(name) && isFieldValue(value);
}
