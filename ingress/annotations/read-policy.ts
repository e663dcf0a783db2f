import type { RoutePolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';
import { readAccess } from './access.ts';
import { readAffinity } from './affinity.ts';
import { readBalance } from './balancing.ts';
import { readCanary } from './canary.ts';
import { readClientCertificate } from './client-certificate.ts';
import { readCors } from './cors.ts';
import { readErrors } from './errors.ts';
import { readLimits } from './limits.ts';
import { readMirror } from './mirror.ts';
import { readProxy, readRetry } from './proxying.ts';
import { type AnnotationReader } from './reader.ts';
import { readRedirects } from './redirects.ts';
import { readRefused } from './refused.ts';
import { readResponse } from './response.ts';
import { readRewrite } from './rewrite.ts';
import { readCiphers, readUpstream } from './upstream.ts';

/** All annotations of an Ingress as one typed policy. The reader then holds the verdict on each. */
export function readPolicy(read: AnnotationReader, settings: GlobalSettings): RoutePolicy {
  const snippetClosed = readRefused(read);
  const sslPassthrough = read.bool('ssl-passthrough') ?? false;
  const clientCertificate = readClientCertificate(read);
  const { upstream, closed: upstreamClosed } = readUpstream(read, settings);
  const { access, closed } = readAccess(read, settings);
  const ciphers = readCiphers(read, 'ssl-ciphers');
  const preferServerCiphers = read.bool('ssl-prefer-server-ciphers');
  if (preferServerCiphers === false) read.differs('ssl-prefer-server-ciphers', "the server's order counts");
  const minVersion = read.oneOf('ssl-min-version', ['TLSv1.2', 'TLSv1.3']);
  const policy: RoutePolicy = {
    closed: closed ?? snippetClosed ?? upstreamClosed,
    ...readRewrite(read),
    ...readRedirects(read, settings),
    proxy: readProxy(read, settings),
    retry: readRetry(read, settings),
    access,
    clientCertificate,
    cors: readCors(read),
    limits: readLimits(read, settings),
    canary: readCanary(read),
    affinity: readAffinity(read),
    balance: readBalance(read, settings),
    upstream,
    errors: readErrors(read, settings),
    mirror: readMirror(read),
    response: readResponse(read),
    sslPassthrough,
    tls: { ciphers, minVersion },
    accessLog: read.bool('enable-access-log') ?? true,
  };
  return policy;
}
