import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settingsFrom } from '../../ingress/config-map.ts';
import { DIFFERING_KEYS, REFUSED_KEYS } from '../../ingress/config-map-keys.ts';
import { defaultSettings } from '../../ingress/default-settings.ts';
import type { GlobalSettings } from '../../ingress/settings.ts';

const base = defaultSettings(false);

function read(data: Record<string, string>): { settings: GlobalSettings; verdicts: Record<string, string> } {
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'n', name: 'c' }, data } as const;
  const { settings, verdicts } = settingsFrom(base, map, new Map());
  return { settings, verdicts: Object.fromEntries(verdicts.map((each) => [each.annotation, each.verdict])) };
}

/** A value ingress-nginx's users write, and what it becomes. */
const HONOURED: readonly [string, string, Partial<GlobalSettings>][] = [
  ['use-forwarded-headers', 'true', { useForwardedHeaders: true }],
  ['compute-full-forwarded-for', 'true', { appendForwardedFor: true }],
  ['forwarded-for-header', 'CF-Connecting-IP', { forwardedForHeader: 'cf-connecting-ip' }],
  ['use-proxy-protocol', 'true', { useProxyProtocol: true }],
  ['generate-request-id', 'false', { generateRequestId: false }],
  ['enable-underscores-in-headers', 'true', { underscoresInHeaders: true }],
  ['ssl-redirect', 'false', { sslRedirect: false }],
  ['force-ssl-redirect', 'true', { forceSslRedirect: true }],
  ['preserve-trailing-slash', 'true', { preserveTrailingSlash: true }],
  ['no-auth-locations', '/health,/ready', { noAuthPaths: ['/health', '/ready'] }],
  ['no-tls-redirect-locations', '/plain', { noTlsRedirectPaths: ['/plain'] }],
  ['http-redirect-code', '301', { httpRedirectCode: 301 }],
  ['hsts', 'false', { hsts: undefined }],
  ['hsts-max-age', '60', { hsts: { value: 'max-age=60; includeSubDomains' } }],
  ['hsts-include-subdomains', 'false', { hsts: { value: 'max-age=31536000' } }],
  ['hsts-preload', 'true', { hsts: { value: 'max-age=31536000; includeSubDomains; preload' } }],
  ['limit-req-status-code', '429', { limitStatus: 429 }],
  ['limit-conn-status-code', '429', { connLimitStatus: 429 }],
  ['proxy-body-size', '8m', { proxy: { ...base.proxy, bodyBytesMax: 8 * 1024 * 1024 } }],
  ['proxy-read-timeout', '120', { proxy: { ...base.proxy, readMs: 120_000 } }],
  ['proxy-next-upstream-tries', '5', { retry: { ...base.retry, triesMax: 5 } }],
  ['load-balance', 'ewma', { balance: 'ewma' }],
  ['custom-http-errors', '404,503', { customHttpErrors: new Set([404, 503]) }],
  ['disable-proxy-intercept-errors', 'true', { disableIntercept: true }],
  ['use-http2', 'false', { useHttp2: false }],
  ['http2-max-concurrent-streams', '64', { http2StreamsMax: 64 }],
  ['upstream-keepalive-timeout', '30', { upstreamIdleMs: 30_000 }],
  ['upstream-keepalive-connections', '10', { upstreamIdleConnectionsMax: 10 }],
  ['ssl-protocols', 'TLSv1.3', { tls: { minVersion: 'TLSv1.3', ciphers: undefined } }],
  ['enable-ocsp', 'true', { enableOcsp: true }],
  ['service-upstream', 'true', { serviceUpstream: true }],
  ['hide-headers', 'Server,X-Powered-By', { hideHeaders: ['server', 'x-powered-by'] }],
  ['worker-shutdown-timeout', '10s', { drainMs: 10_000 }],
  ['block-user-agents', 'bot', { blockedAgents: ['bot'] }],
  ['allow-snippet-annotations', 'false', {}],
  ['enable-modsecurity', 'false', {}],
];

test.each(HONOURED)('%s: %s is honoured', (key, value, expected) => {
  const { settings, verdicts } = read({ [key]: value });
  expect(verdicts).toEqual({ [key]: 'honoured' });
  expect(settings).toEqual({ ...base, ...expected });
});

describe('keys that are known and not done as they are', () => {
  test('each says how, changes nothing, and is in one list only', () => {
    for (const [list, verdict] of [
      [DIFFERING_KEYS, 'differs'],
      [REFUSED_KEYS, 'refused'],
    ] as const)
      for (const [key, reason] of Object.entries(list)) {
        const { settings, verdicts } = read({ [key]: 'something' });
        expect([key, verdicts[key], settings]).toEqual([key, verdict, base]);
        expect(reason.length).toBeGreaterThan(10);
      }
    expect(Object.keys(DIFFERING_KEYS).filter((key) => key in REFUSED_KEYS)).toEqual([]);
  });

  test.each([
    ['allow-snippet-annotations', 'true'],
    ['no-such-key', 'x'],
    ['proxy-body-size', 'much'],
    ['block-referers', '~('],
    ['global-auth-url', 'ldap://x'],
    ['global-auth-snippet', 'deny all;'],
    ['otlp-collector-port', '0'],
  ])('%s: %s is refused', (key, value) => {
    expect(
      read({ 'enable-opentelemetry': 'true', 'otlp-collector-host': 'c', [key]: value }).verdicts[key],
    ).toBe('refused');
  });

  test('what cannot be understood and keeps people out keeps everybody out', () => {
    expect(read({ 'global-auth-url': 'ldap://x' }).settings.globalAuth).toBe('unusable');
    expect(read({ 'global-auth-snippet': 'deny all;' }).settings.globalAuth).toBe('unusable');
    expect(read({ 'block-user-agents': 'bot, ~(' }).settings.blockedAgents).toEqual(['~']);
  });
});

test('any text is read, with a verdict on every key', () => {
  const key = fc.oneof(
    fc.constantFrom(
      ...HONOURED.map(([name]) => name),
      ...Object.keys(REFUSED_KEYS),
      'global-auth-url',
      '__proto__',
    ),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.dictionary(key, fc.string()), (data) => {
      const { verdicts } = read(data);
      for (const name of Object.keys(data))
        if (!name.startsWith('global-auth-')) expect(verdicts).toHaveProperty([name]);
    }),
  );
});
