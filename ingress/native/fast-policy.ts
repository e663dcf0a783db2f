import type { Route } from '../compile/route.ts';
import type { RoutePolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';

/** Why all requests go to the portable engine under these settings; undefined = the fast path may serve. */
export function slowSettings(settings: GlobalSettings): string | undefined {
  if (settings.useProxyProtocol) return 'use-proxy-protocol';
  if (settings.useForwardedHeaders) return 'use-forwarded-headers';
  if (settings.forwardedHeader) return 'enable-forwarded-header';
  if (settings.tracing) return 'enable-opentelemetry';
  if (settings.explainAllow) return 'weft-explain-allow';
  if (settings.globalAllow ?? settings.globalDeny.length > 0) return 'source ranges';
  if (settings.blockedAgents.length > 0) return 'block-user-agents';
  if (settings.blockedReferers.length > 0) return 'block-referers';
  if (settings.hideHeaders.length > 0) return 'hide-headers';
  if (settings.proxySetHeaders.length > 0) return 'proxy-set-headers';
  if (settings.addHeaders.length > 0) return 'add-headers';
  return undefined;
}

/** Why requests of a route go to the portable engine; undefined = the fast path serves them. */
export function slowRoute(route: Route): string | undefined {
  if (route.target.kind !== 'service') return 'no service behind it';
  if (route.canary) return 'canary';
  if (route.pathType === 'Regex') return 'pattern';
  return slowPolicy(route.policy) ?? slowUpstream(route.policy);
}

/** Requests without TLS are redirected: the portable engine answers them. */
export function redirectsPlain({ policy, hostHasTls }: Route): boolean {
  return policy.forceSslRedirect || (policy.sslRedirect && hostHasTls);
}

function slowPolicy(policy: RoutePolicy): string | undefined {
  const { access, response } = policy;
  const slow: Readonly<Record<string, unknown>> = {
    closed: policy.closed,
    'rewrite-target': policy.rewriteTarget,
    redirect: policy.redirect,
    'app-root': policy.appRoot,
    'source ranges': access.allow ?? access.deny.length > 0,
    auth: access.basic ?? access.external,
    'auth-tls-match-cn': policy.clientCertificate?.matchCn,
    cors: policy.cors,
    limits: policy.limits,
    affinity: policy.affinity,
    'custom errors': policy.errors,
    mirror: policy.mirror,
    'response fields': response.customHeaders ?? response.redirectRewrite,
    'cookie rewriting': response.cookieDomain.length + response.cookiePath.length > 0,
  };
  return Object.keys(slow).find((name) => slow[name] !== undefined && slow[name] !== false);
}

function slowUpstream({ balance, upstream, retry }: RoutePolicy): string | undefined {
  const slow: Readonly<Record<string, boolean>> = {
    'load-balance': balance.algorithm !== 'round_robin' || balance.hashBy !== undefined,
    'health checks': balance.check !== undefined,
    'slow start': balance.health.slowStartMs > 0,
    'backend-protocol': upstream.protocol !== 'HTTP' || upstream.httpVersion !== 11,
    'upstream-vhost': upstream.vhost !== undefined,
    'x-forwarded-prefix': upstream.forwardedPrefix !== undefined,
    'connection-proxy-header': upstream.connectionHeader !== undefined,
    'proxy-next-upstream by status': [...retry.conditions].some((each) => each.startsWith('http_')),
  };
  return Object.keys(slow).find((name) => slow[name]);
}
