import { defaultHealth } from '../balance/health.ts';
import type { RoutePolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';

/** The policy of an Ingress without annotations. */
export function defaultPolicy(settings: GlobalSettings): RoutePolicy {
  return {
    closed: undefined,
    rewriteTarget: undefined,
    useRegex: false,
    appRoot: undefined,
    redirect: undefined,
    sslRedirect: settings.sslRedirect,
    forceSslRedirect: settings.forceSslRedirect,
    preserveTrailingSlash: false,
    fromToWww: false,
    serverAliases: [],
    proxy: settings.proxy,
    retry: settings.retry,
    access: { allow: undefined, deny: [], basic: undefined, external: undefined, satisfyAny: false },
    clientCertificate: undefined,
    cors: undefined,
    limits: undefined,
    canary: undefined,
    affinity: undefined,
    balance: {
      algorithm: settings.balance,
      hashBy: undefined,
      hashSubset: false,
      hashSubsetSize: 3,
      health: defaultHealth,
      check: undefined,
    },
    upstream: {
      protocol: 'HTTP',
      httpVersion: 11,
      vhost: undefined,
      forwardedPrefix: undefined,
      serviceUpstream: false,
      tls: undefined,
      connectionHeader: undefined,
    },
    errors:
      settings.customHttpErrors.size > 0
        ? {
            defaultBackend: undefined,
            statuses: settings.customHttpErrors,
            ownOnly: settings.disableIntercept,
          }
        : undefined,
    mirror: undefined,
    response: { customHeaders: undefined, redirectRewrite: undefined, cookieDomain: [], cookiePath: [] },
    sslPassthrough: false,
    tls: { ciphers: undefined, minVersion: undefined },
    accessLog: true,
  };
}
