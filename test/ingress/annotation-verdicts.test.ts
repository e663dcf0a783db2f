import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AnnotationReader, PREFIX, type VerdictKind } from '../../ingress/annotations/reader.ts';
import { readPolicy } from '../../ingress/annotations/read-policy.ts';
import { defaultSettings } from '../../ingress/default-settings.ts';

/** Every annotation of ingress-nginx 1.15 and what becomes of it here. */
const TABLE: Readonly<Record<VerdictKind, Readonly<Record<string, string>>>> = {
  honoured: {
    affinity: 'cookie',
    'affinity-canary-behavior': 'sticky',
    'affinity-mode': 'persistent',
    'allowlist-source-range': '10.0.0.0/8',
    'app-root': '/app',
    'auth-always-set-cookie': 'true',
    'auth-cache-duration': '200 202 5m',
    'auth-cache-key': '$remote_user$http_authorization',
    'auth-method': 'POST',
    'auth-proxy-set-headers': 'default/headers',
    'auth-realm': 'Log in',
    'auth-request-redirect': '/x',
    'auth-response-headers': 'X-User, X-Group',
    'auth-secret': 'users',
    'auth-secret-type': 'auth-file',
    'auth-signin': 'https://login.test/?rd=$escaped_request_uri',
    'auth-signin-redirect-param': 'next',
    'auth-tls-error-page': 'https://login.test/',
    'auth-tls-match-cn': 'CN=.*',
    'auth-tls-pass-certificate-to-upstream': 'true',
    'auth-tls-secret': 'default/ca',
    'auth-tls-verify-client': 'optional',
    'auth-type': 'basic',
    'auth-url': 'http://auth.default.svc/check',
    'backend-protocol': 'GRPCS',
    canary: 'true',
    'canary-by-cookie': 'beta',
    'canary-by-header': 'X-Beta',
    'canary-by-header-pattern': '^(a|b)$',
    'canary-by-header-value': 'yes',
    'canary-weight': '10',
    'canary-weight-total': '1000',
    'cors-allow-credentials': 'false',
    'cors-allow-headers': 'X-A',
    'cors-allow-methods': 'GET',
    'cors-allow-origin': 'https://*.a.test',
    'cors-expose-headers': 'X-B',
    'cors-max-age': '600',
    'custom-headers': 'default/headers',
    'custom-http-errors': '404,503',
    'default-backend': 'errors',
    'denylist-source-range': '10.9.0.0/16, 2001:db8::/32',
    'enable-access-log': 'false',
    'enable-cors': 'true',
    'enable-global-auth': 'false',
    'force-ssl-redirect': 'true',
    'from-to-www-redirect': 'true',
    'limit-allowlist': '10.0.0.0/8',
    'limit-burst-multiplier': '3',
    'limit-connections': '5',
    'limit-rpm': '100',
    'limit-rps': '10',
    'limit-whitelist': '10.0.0.0/8',
    'load-balance': 'ewma',
    'mirror-host': 'mirror.test',
    'mirror-request-body': 'off',
    'mirror-target': 'https://mirror.test$request_uri',
    'permanent-redirect': 'https://new.test',
    'permanent-redirect-code': '308',
    'preserve-trailing-slash': 'true',
    'proxy-body-size': '8m',
    'proxy-connect-timeout': '10',
    'proxy-cookie-domain': 'a.test b.test',
    'proxy-cookie-path': '/a /b',
    'proxy-http-version': '1.0',
    'proxy-next-upstream': 'error timeout http_502',
    'proxy-next-upstream-timeout': '10',
    'proxy-next-upstream-tries': '5',
    'proxy-read-timeout': '120',
    'proxy-redirect-from': 'http://a.test/',
    'proxy-redirect-to': 'https://b.test/',
    'proxy-send-timeout': '120',
    'proxy-ssl-ciphers': 'HIGH:!aNULL',
    'proxy-ssl-name': '$service_name.default.svc',
    'proxy-ssl-protocols': 'TLSv1.2 TLSv1.3',
    'proxy-ssl-secret': 'default/client',
    'proxy-ssl-server-name': 'on',
    'proxy-ssl-verify': 'on',
    'rewrite-target': '/$1',
    satisfy: 'any',
    'server-alias': 'a.test, ~^b[0-9]+\\.test$',
    'service-upstream': 'true',
    'session-cookie-change-on-failure': 'true',
    'session-cookie-conditional-samesite-none': 'true',
    'session-cookie-domain': 'a.test',
    'session-cookie-expires': '3600',
    'session-cookie-max-age': '3600',
    'session-cookie-name': 'route',
    'session-cookie-path': '/',
    'session-cookie-samesite': 'Lax',
    'session-cookie-secure': 'true',
    'ssl-ciphers': 'HIGH:!aNULL',
    'ssl-passthrough': 'true',
    'ssl-redirect': 'false',
    'temporal-redirect': 'https://new.test',
    'temporal-redirect-code': '307',
    'upstream-hash-by': '$request_uri',
    'upstream-hash-by-subset': 'true',
    'upstream-hash-by-subset-size': '2',
    'upstream-vhost': '$service_name.$namespace',
    'whitelist-source-range': '10.0.0.0/8',
    'x-forwarded-prefix': '/api',
    'ingress.weft.dev/endpoint-requests-max': '100',
    'ingress.weft.dev/health-check-host': 'web.test',
    'ingress.weft.dev/health-check-path': '/healthz',
    'ingress.weft.dev/health-check-interval': '2s',
    'ingress.weft.dev/health-check-timeout': '500ms',
    'ingress.weft.dev/health-check-healthy-count': '1',
    'ingress.weft.dev/health-check-unhealthy-count': '1',
    'ingress.weft.dev/outlier-ejection': '30s',
    'ingress.weft.dev/outlier-failures': '3',
    'ingress.weft.dev/panic-threshold-percent': '30',
    'ingress.weft.dev/slow-start': '30s',
  },
  differs: {
    'auth-tls-verify-depth': '2',
    'auth-keepalive': '10',
    'auth-keepalive-requests': '10',
    'auth-keepalive-share-vars': 'true',
    'auth-keepalive-timeout': '10',
    'client-body-buffer-size': '1m',
    'connection-proxy-header': 'keep-alive',
    'enable-opentelemetry': 'true',
    'enable-rewrite-log': 'true',
    'http2-push-preload': 'true',
    'opentelemetry-operation-name': 'x',
    'opentelemetry-trust-incoming-span': 'true',
    'proxy-buffer-size': '8k',
    'proxy-buffering': 'on',
    'proxy-buffers-number': '4',
    'proxy-busy-buffers-size': '16k',
    'proxy-max-temp-file-size': '1024m',
    'proxy-request-buffering': 'off',
    'proxy-ssl-verify-depth': '2',
    'ssl-prefer-server-ciphers': 'false',
    'use-regex': 'true',
  },
  refused: {
    'auth-snippet': 'deny all;',
    'configuration-snippet': 'more_set_headers "A: b";',
    'enable-modsecurity': 'true',
    'enable-owasp-core-rules': 'true',
    'limit-rate': '100',
    'limit-rate-after': '100',
    'modsecurity-snippet': 'SecRuleEngine On',
    'modsecurity-transaction-id': '$request_id',
    'server-snippet': 'return 404;',
    'stream-snippet': 'server {}',
  },
};

const settings = defaultSettings(false);

function read(annotations: Readonly<Record<string, string>>): {
  verdicts: Map<string, { verdict: VerdictKind; detail: string }>;
  policy: ReturnType<typeof readPolicy>;
} {
  const prefixed = Object.entries(annotations).map(([name, value]) => [
    name.includes('/') ? name : PREFIX + name,
    value,
  ]);
  const reader = new AnnotationReader('default', Object.fromEntries(prefixed) as Record<string, string>);
  const policy = readPolicy(reader, settings);
  return { policy, verdicts: new Map(reader.verdicts().map((each) => [each.annotation, each])) };
}

describe('every annotation has a verdict', () => {
  const everything = { ...TABLE.honoured, ...TABLE.differs, ...TABLE.refused };
  const { verdicts } = read(everything);
  const rows = Object.entries(TABLE).flatMap(([verdict, names]) =>
    Object.keys(names).map((name) => [name, verdict] as const),
  );
  test.for(rows)('%s is %s', ([name, verdict]) => {
    expect(verdicts.get(name)?.verdict).toBe(verdict);
    if (verdict !== 'honoured') expect(verdicts.get(name)?.detail).not.toBe('');
    expect(verdicts.get(name)?.detail).not.toBe('unknown annotation');
  });

  test('an unknown one is said to be unknown', () => {
    expect(read({ 'no-such-thing': '1' }).verdicts.get('no-such-thing')).toMatchObject({
      verdict: 'refused',
      detail: 'unknown annotation',
    });
  });

  test('a refused snippet names what to use instead', () => {
    for (const name of ['configuration-snippet', 'server-snippet', 'auth-snippet', 'stream-snippet'])
      expect(verdicts.get(name)?.detail).toMatch(/use [a-z]/);
  });
});

describe('what protects fails closed', () => {
  const rows: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['a range that is none', { 'whitelist-source-range': '10.0.0.0/33' }],
    ['a deny range that is none', { 'denylist-source-range': 'everybody' }],
    ['an unknown auth type', { 'auth-type': 'magic', 'auth-secret': 'users' }],
    ['digest', { 'auth-type': 'digest', 'auth-secret': 'users' }],
    ['auth without a secret', { 'auth-type': 'basic' }],
    ['a secret of another namespace', { 'auth-type': 'basic', 'auth-secret': 'other/users' }],
    ['a secret type that is none', { 'auth-type': 'basic', 'auth-secret': 'users', 'auth-secret-type': 'x' }],
    ['an auth-url that is none', { 'auth-url': 'not a url' }],
    ['an auth-url with an unknown variable', { 'auth-url': 'http://auth.test/$oops' }],
    ['an auth-url with a line end', { 'auth-url': 'http://auth.test/\r\nX: y' }],
    ['an auth-method that is none', { 'auth-url': 'http://auth.test/', 'auth-method': 'GET /x' }],
    ['response headers that are none', { 'auth-url': 'http://a.test/', 'auth-response-headers': 'X-A, b c' }],
    ['a client certificate secret that is none', { 'auth-tls-secret': 'a/b/c' }],
    ['a match that is no pattern', { 'auth-tls-secret': 'default/ca', 'auth-tls-match-cn': '(' }],
    ['a snippet in auth', { 'auth-snippet': 'x' }],
    ['a configuration snippet that denies', { 'configuration-snippet': 'location /x { deny all; }' }],
    ['a server snippet that asks for a login', { 'server-snippet': 'auth_basic "x";' }],
    ['an unknown satisfy', { satisfy: 'some' }],
    ['a broken upstream verification', { 'proxy-ssl-verify': 'perhaps' }],
  ];
  test.for(rows)('%s', ([, annotations]) => {
    expect(read(annotations).policy.closed).toBeDefined();
  });
});

test('a snippet that keeps nobody out leaves its paths open', () => {
  expect(
    read({ 'configuration-snippet': 'more_set_headers "X-Allowed: deny-list";' }).policy.closed,
  ).toBeUndefined();
});

test('no value of any annotation makes reading throw, or gets a control character into a policy', () => {
  const names = Object.values(TABLE).flatMap((each) => Object.keys(each));
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.constantFrom(...Object.values(TABLE).flatMap((each) => Object.values(each))),
    fc.stringMatching(/^[ -~\r\n\t]{0,40}$/),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 12 }), (annotations) => {
      const { policy, verdicts } = read(annotations);
      expect([...verdicts.keys()].sort()).toEqual(Object.keys(annotations).sort());
      const seen = JSON.stringify(policy, (_, each: unknown) =>
        each instanceof Map || each instanceof Set ? [...(each as Iterable<unknown>)] : each,
      );
      expect(seen).not.toMatch(/\\[rn]|\\u00[01]/);
    }),
    { numRuns: 500 },
  );
});
