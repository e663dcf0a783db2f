import type { AnnotationReader } from './reader.ts';

/** Row 31 and others that are refused by design, each with what to use instead. */
const REFUSED: Readonly<Record<string, string>> = {
  'configuration-snippet':
    'nginx text is never taken: use custom-headers, rewrite-target, permanent-redirect or the cors annotations',
  'server-snippet':
    'nginx text is never taken: use server-alias, denylist-source-range, custom-headers or an Ingress of its own',
  'auth-snippet': 'nginx text is never taken: use auth-response-headers and auth-method',
  'stream-snippet': 'nginx text is never taken: use the tcp-services ConfigMap',
  'modsecurity-snippet': 'there is no ModSecurity: put a web application firewall before or behind',
  'enable-modsecurity': 'there is no ModSecurity: put a web application firewall before or behind',
  'enable-owasp-core-rules': 'there is no ModSecurity',
  'modsecurity-transaction-id': 'there is no ModSecurity',
  'secure-backends': 'use backend-protocol: HTTPS',
};

/** Annotations that are understood and change nothing here, each with the reason. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  'enable-rewrite-log': 'weft ingress explain shows how a request is rewritten',
  'enable-opentelemetry': 'tracing is set for the whole controller',
  'opentelemetry-operation-name': 'spans are named by route',
  'opentelemetry-trust-incoming-span': 'incoming trace context is always continued',
  'enable-opentracing': 'tracing is set for the whole controller',
  'http2-push-preload': 'server push is gone from clients',
  'backend-server-side-sort': 'not needed',
};

/** nginx directives that keep somebody out. */
const RESTRICTS =
  /(^|[\s;{}])(deny|allow|auth_basic|auth_request|auth_jwt|satisfy|limit_except|return\s+4\d\d|secure_link)(?![\w-])/;

/** Refuses them; the answer names a snippet that kept somebody out: without it the path has to be closed. */
export function readRefused(read: AnnotationReader): string | undefined {
  let closed: string | undefined;
  for (const [name, reason] of Object.entries(REFUSED)) {
    if (!read.has(name)) continue;
    const restricts = name.endsWith('-snippet') && RESTRICTS.test(read.raw(name));
    if (restricts) closed ??= `${name} restricts access`;
    read.refuse(
      name,
      restricts ? `${reason}; it restricts access, so the paths are closed until it is gone` : reason,
    );
  }
  for (const [name, reason] of Object.entries(WITHOUT_EFFECT)) {
    read.text(name);
    read.differs(name, reason);
  }
  return closed;
}
