import type { ConfigMap } from '../src/api/kinds/config.ts';
import { GLOBAL_AUTH, readGlobalAuth } from './annotations/access.ts';
import {
  type AnnotationVerdict,
  parseCidrList,
  parseDurationMs,
  parseSizeBytes,
  type VerdictKind,
} from './annotations/reader.ts';
import { testOf } from './access/block-list.ts';
import { DIFFERING_KEYS, REFUSED_KEYS } from './config-map-keys.ts';
import { parseRetryConditions } from './annotations/proxying.ts';
import { isFieldValue, isToken } from './http/bytes.ts';
import { TRACING_KEYS, tracingFrom } from './observe/tracing/tracing-settings.ts';
import type { AccessLogFormat, GlobalSettings } from './settings.ts';

type Writable = { -readonly [K in keyof GlobalSettings]: GlobalSettings[K] };
/** Puts one value into the settings; returns what is wrong with it. */
type Setter = (
  settings: Writable,
  value: string,
  configMaps: ReadonlyMap<string, ConfigMap>,
) => string | undefined;

/** The ConfigMap of ingress-nginx, key by key, with a verdict on each. Keys that do not parse keep the default. */
export function settingsFrom(
  base: GlobalSettings,
  configMap: ConfigMap | undefined,
  configMaps: ReadonlyMap<string, ConfigMap>,
): { settings: GlobalSettings; verdicts: AnnotationVerdict[] } {
  const settings: Writable = { ...base };
  const data = configMap?.data ?? {};
  const verdicts = new Map<string, AnnotationVerdict>();
  const say = (annotation: string, verdict: VerdictKind, detail = ''): void =>
    void verdicts.set(annotation, { annotation, verdict, detail });
  for (const [key, value] of Object.entries(data)) {
    if (key.startsWith(GLOBAL_AUTH)) continue;
    const set = Object.hasOwn(SETTERS, key) ? SETTERS[key] : undefined;
    const fault = set?.(settings, value.trim(), configMaps);
    if (fault !== undefined) say(key, 'refused', fault);
    else if (set ?? TRACING_KEYS.has(key)) say(key, 'honoured');
    else if (Object.hasOwn(DIFFERING_KEYS, key)) say(key, 'differs', DIFFERING_KEYS[key]);
    else if (!Object.hasOwn(REFUSED_KEYS, key)) say(key, 'refused', 'unknown key');
    else if (isOff(value)) say(key, 'honoured', 'is off, and there is nothing of it here');
    else say(key, 'refused', REFUSED_KEYS[key]);
  }
  const tracing = tracingFrom(data);
  if (typeof tracing === 'string') say(tracing.slice(0, tracing.indexOf(':')), 'refused', tracing);
  else settings.tracing = tracing ?? base.tracing;
  const { policy, verdicts: ofAuth } = readGlobalAuth(data);
  settings.globalAuth = policy ?? base.globalAuth;
  for (const verdict of ofAuth) verdicts.set(verdict.annotation, verdict);
  return { settings, verdicts: [...verdicts.values()] };
}

/** The wish for something that is not there, not made. */
function isOff(value: string): boolean {
  return /^(false|off|0|)$/i.test(value.trim());
}

function blockList(put: (settings: Writable, entries: readonly string[]) => void): Setter {
  return (settings, value) => {
    const entries = paths(value);
    const odd = entries.find((entry) => testOf(entry) === undefined);
    // half a list would let through what the other half was to keep out, and nobody would know
    put(settings, odd === undefined ? entries : ['~']);
    return odd === undefined ? undefined : `${odd} is no usable pattern: everybody is kept out`;
  };
}

function bool(put: (settings: Writable, value: boolean) => void): Setter {
  return (settings, value) => {
    if (!/^(true|false|on|off)$/i.test(value)) return 'must be true or false';
    put(settings, /^(true|on)$/i.test(value));
    return undefined;
  };
}

function number(min: number, max: number, put: (settings: Writable, value: number) => void): Setter {
  return (settings, value) => {
    const parsed = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
    if (!(parsed >= min && parsed <= max)) return `must be a whole number from ${min} to ${max}`;
    put(settings, parsed);
    return undefined;
  };
}

function duration(put: (settings: Writable, ms: number) => void): Setter {
  return (settings, value) => {
    const ms = parseDurationMs(value);
    if (ms === undefined) return 'must be a time in seconds';
    put(settings, ms);
    return undefined;
  };
}

function cidrs(put: (settings: Writable, list: GlobalSettings['globalDeny']) => void): Setter {
  return (settings, value) => {
    const parts = value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
    const list = parseCidrList(parts);
    if (typeof list === 'string') return `${list} is no CIDR`;
    put(settings, list);
    return undefined;
  };
}

/** `namespace/name` of a ConfigMap whose entries are header fields. */
function fieldMap(put: (settings: Writable, fields: (readonly [string, string])[]) => void): Setter {
  return (settings, value, configMaps) => {
    if (value === '') return undefined;
    const found = configMaps.get(value);
    if (!found) return `ConfigMap ${value} does not exist`;
    const entries = Object.entries(found.data ?? {});
    const odd = entries.find(([name, text]) => !isToken(name) || !isFieldValue(text));
    if (odd) return `${odd[0]} is no header field`;
    put(settings, entries);
    return undefined;
  };
}

function hsts(
  settings: Writable,
  change: { on?: boolean; maxAge?: string; subdomains?: boolean; preload?: boolean },
): void {
  const before = settings.hsts?.value ?? '';
  if (change.on === false) {
    settings.hsts = undefined;
    return;
  }
  const maxAge = change.maxAge ?? /max-age=(\d+)/.exec(before)?.[1] ?? '31536000';
  const subdomains = change.subdomains ?? (before === '' || before.includes('includeSubDomains'));
  const preload = change.preload ?? before.includes('preload');
  if (!settings.hsts && change.on === undefined) return;
  settings.hsts = {
    value: `max-age=${maxAge}${subdomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`,
  };
}

const SETTERS: Readonly<Record<string, Setter>> = {
  'use-forwarded-headers': bool((s, v) => (s.useForwardedHeaders = v)),
  'compute-full-forwarded-for': bool((s, v) => (s.appendForwardedFor = v)),
  'forwarded-for-header': (s, v) =>
    isToken(v) ? void (s.forwardedForHeader = v.toLowerCase()) : 'is no header name',
  'enable-real-ip': bool((s, v) => (s.useForwardedHeaders ||= v)),
  'proxy-real-ip-cidr': cidrs((s, v) => (s.trustedProxies = v)),
  'weft-forwarded-header': bool((s, v) => (s.forwardedHeader = v)),
  'use-proxy-protocol': bool((s, v) => (s.useProxyProtocol = v)),
  'generate-request-id': bool((s, v) => (s.generateRequestId = v)),
  'enable-underscores-in-headers': bool((s, v) => (s.underscoresInHeaders = v)),
  'ssl-redirect': bool((s, v) => (s.sslRedirect = v)),
  'force-ssl-redirect': bool((s, v) => (s.forceSslRedirect = v)),
  'preserve-trailing-slash': bool((s, v) => (s.preserveTrailingSlash = v)),
  'service-upstream': bool((s, v) => (s.serviceUpstream = v)),
  'block-user-agents': blockList((s, v) => (s.blockedAgents = v)),
  'block-referers': blockList((s, v) => (s.blockedReferers = v)),
  'allow-snippet-annotations': (_, v) =>
    v === 'true' ? 'snippets are never taken: weft ingress check names what to use instead' : undefined,
  'no-tls-redirect-locations': (s, v) => void (s.noTlsRedirectPaths = paths(v)),
  'no-auth-locations': (s, v) => void (s.noAuthPaths = paths(v)),
  'http-redirect-code': number(301, 308, (s, v) => (s.httpRedirectCode = v)),
  hsts: bool((s, v) => hsts(s, { on: v })),
  'hsts-max-age': number(0, 2 ** 31, (s, v) => hsts(s, { maxAge: String(v) })),
  'hsts-include-subdomains': bool((s, v) => hsts(s, { subdomains: v })),
  'hsts-preload': bool((s, v) => hsts(s, { preload: v })),
  'limit-req-status-code': number(400, 599, (s, v) => (s.limitStatus = v)),
  'limit-conn-status-code': number(400, 599, (s, v) => (s.connLimitStatus = v)),
  'proxy-body-size': (s, v) => {
    const bodyBytesMax = parseSizeBytes(v);
    if (bodyBytesMax === undefined) return 'must be a size such as 8m';
    s.proxy = { ...s.proxy, bodyBytesMax };
    return undefined;
  },
  'proxy-connect-timeout': duration((s, v) => (s.proxy = { ...s.proxy, connectMs: v })),
  'proxy-read-timeout': duration((s, v) => (s.proxy = { ...s.proxy, readMs: v })),
  'proxy-send-timeout': duration((s, v) => (s.proxy = { ...s.proxy, sendMs: v })),
  'proxy-next-upstream': (s, v) => {
    const conditions = parseRetryConditions(v.split(/\s+/));
    if (typeof conditions === 'string') return `${conditions} is unknown`;
    s.retry = { ...s.retry, conditions };
    return undefined;
  },
  'retry-non-idempotent': bool((s, v) => {
    if (v) s.retry = { ...s.retry, conditions: new Set([...s.retry.conditions, 'non_idempotent']) };
  }),
  'proxy-next-upstream-tries': number(0, 100, (s, v) => (s.retry = { ...s.retry, triesMax: v })),
  'proxy-next-upstream-timeout': duration((s, v) => (s.retry = { ...s.retry, timeoutMs: v })),
  'load-balance': (s, v) => {
    if (v !== 'round_robin' && v !== 'ewma' && v !== 'least_request')
      return 'must be round_robin, ewma or least_request';
    s.balance = v;
    return undefined;
  },
  'custom-http-errors': (s, v) => {
    const codes = v
      .split(',')
      .filter((code) => code.trim() !== '')
      .map(Number);
    if (codes.some((code) => !(code >= 300 && code <= 599))) return 'must be codes from 300 to 599';
    s.customHttpErrors = new Set(codes);
    return undefined;
  },
  'disable-proxy-intercept-errors': bool((s, v) => (s.disableIntercept = v)),
  'use-http2': bool((s, v) => (s.useHttp2 = v)),
  'http2-max-concurrent-streams': number(1, 10_000, (s, v) => (s.http2StreamsMax = v)),
  'keep-alive': duration((s, v) => (s.server = { ...s.server, idleMs: Math.max(v, 1) })),
  'keep-alive-requests': number(1, 2 ** 31, (s, v) => (s.server = { ...s.server, requestsMax: v })),
  'client-header-timeout': duration((s, v) => (s.server = { ...s.server, headerMs: v })),
  'client-body-timeout': duration((s, v) => (s.server = { ...s.server, bodyIdleMs: v })),
  'large-client-header-buffers': (s, v) => {
    const parts = /^(\d{1,4})\s+(\S+)$/.exec(v);
    const lineBytes = parts && parseSizeBytes(parts[2]!);
    if (!parts || !lineBytes) return 'must be a number and a size';
    s.server = {
      ...s.server,
      limits: { ...s.server.limits, lineBytes, totalBytes: Number(parts[1]) * lineBytes },
    };
    return undefined;
  },
  'upstream-keepalive-timeout': duration((s, v) => (s.upstreamIdleMs = v)),
  'upstream-keepalive-requests': number(1, 2 ** 31, (s, v) => (s.upstreamRequestsMax = v)),
  'upstream-keepalive-connections': number(0, 100_000, (s, v) => (s.upstreamIdleConnectionsMax = v)),
  'ssl-protocols': (s, v) => {
    const protocols = v.split(/\s+/);
    if (protocols.some((each) => !/^TLSv1(\.[123])?$/.test(each))) return 'must be TLSv1.2 and TLSv1.3';
    s.tls = {
      ...s.tls,
      minVersion: protocols.includes('TLSv1.3') && !protocols.includes('TLSv1.2') ? 'TLSv1.3' : 'TLSv1.2',
    };
    return protocols.some((each) => each === 'TLSv1' || each === 'TLSv1.1')
      ? 'versions before TLS 1.2 are not spoken'
      : undefined;
  },
  'ssl-ciphers': (s, v) =>
    /^[A-Za-z0-9!@:+_=-]*$/.test(v)
      ? void (s.tls = { ...s.tls, ciphers: v || undefined })
      : 'is no cipher list',
  'enable-ocsp': bool((s, v) => (s.enableOcsp = v)),
  'weft-explain-allow': cidrs((s, v) => (s.explainAllow = v.length > 0 ? v : undefined)),
  'disable-access-log': bool((s, v) => {
    if (v) s.accessLog = 'off';
  }),
  'weft-access-log': (s, v) => {
    if (!['off', 'json', 'upstreaminfo'].includes(v)) return 'must be off, json or upstreaminfo';
    s.accessLog = v as AccessLogFormat;
    return undefined;
  },
  'skip-access-log-urls': (s, v) => void (s.accessLogSkipPaths = paths(v)),
  'hide-headers': (s, v) => void (s.hideHeaders = paths(v).map((name) => name.toLowerCase())),
  'proxy-set-headers': fieldMap((s, v) => (s.proxySetHeaders = v)),
  'add-headers': fieldMap((s, v) => (s.addHeaders = v)),
  'whitelist-source-range': cidrs((s, v) => (s.globalAllow = v.length > 0 ? v : undefined)),
  'denylist-source-range': cidrs((s, v) => (s.globalDeny = v)),
  'block-cidrs': cidrs((s, v) => (s.globalDeny = [...s.globalDeny, ...v])),
  'global-allowed-response-headers': (s, v) =>
    void (s.allowedResponseHeaders = new Set(paths(v).map((name) => name.toLowerCase()))),
  'worker-shutdown-timeout': duration((s, v) => (s.drainMs = v)),
};

function paths(value: string): string[] {
  return value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
