import type { Route } from '../compile/route.ts';
import type { RoutePolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';

/**
 * What the worker does of what settings and annotations ask for. Requests are either relayed in place, which allocates nothing;
 * or composed: read, judged and written by the portable engine's own functions, in the worker; or given to the portable
 * engine, connection and all, where an answer needs state, waiting, or another protocol.
 */

/** Why all requests go to the portable engine under these settings; undefined = the worker may serve. */
export function slowSettings(settings: GlobalSettings): string | undefined {
  if (settings.useProxyProtocol) return 'use-proxy-protocol';
  if (settings.tracing) return 'enable-opentelemetry';
  if (settings.explainAllow) return 'weft-explain-allow';
  return undefined;
}

/** All requests are composed under these settings. */
export function composesAll(settings: GlobalSettings): boolean {
  const lists = [
    settings.globalDeny,
    settings.blockedAgents,
    settings.blockedReferers,
    settings.hideHeaders,
    settings.proxySetHeaders,
    settings.addHeaders,
  ];
  return (
    settings.useForwardedHeaders ||
    settings.forwardedHeader ||
    settings.globalAllow !== undefined ||
    lists.some(({ length }) => length > 0)
  );
}

/** Why requests of a route go to the portable engine; undefined = the worker serves them. */
export function slowRoute({ target, policy, canary }: Route): string | undefined {
  if (target.kind !== 'service') return 'no service behind it';
  if (canary && canary.target.kind !== 'service') return 'no service behind its canary';
  const { access, balance, upstream, retry } = policy;
  const slow: Readonly<Record<string, boolean>> = {
    auth: (access.basic ?? access.external) !== undefined,
    limits: policy.limits !== undefined,
    'custom errors': policy.errors !== undefined,
    mirror: policy.mirror !== undefined,
    'health checks': balance.check !== undefined,
    'backend-protocol': upstream.protocol !== 'HTTP' || upstream.httpVersion !== 11,
    'proxy-next-upstream by status': [...retry.conditions].some((each) => each.startsWith('http_')),
  };
  return Object.keys(slow).find((name) => slow[name]);
}

/** Requests of a route of the worker are composed. */
export function isComposed({ policy, canary, pathType }: Route): boolean {
  return (
    canary !== undefined ||
    pathType === 'Regex' ||
    asksBefore(policy) ||
    asksOfTheWay(policy) ||
    asksOfTheAnswer(policy)
  );
}

/** Requests without TLS are redirected. */
export function redirectsPlain({ policy, hostHasTls }: Route): boolean {
  return policy.forceSslRedirect || (policy.sslRedirect && hostHasTls);
}

/** The endpoint is chosen by more than its turn. */
export function choosesByRequest({ affinity, balance }: RoutePolicy): boolean {
  return (
    affinity !== undefined ||
    balance.hashBy !== undefined ||
    balance.algorithm !== 'round_robin' ||
    balance.health.slowStartMs > 0
  );
}

function asksBefore({ closed, redirect, appRoot, access }: RoutePolicy): boolean {
  const closes = closed ?? redirect ?? appRoot ?? access.allow;
  return closes !== undefined || access.deny.length > 0;
}

function asksOfTheWay(policy: RoutePolicy): boolean {
  const { vhost, forwardedPrefix, connectionHeader } = policy.upstream;
  const rewrites = policy.rewriteTarget ?? vhost ?? forwardedPrefix ?? connectionHeader;
  return rewrites !== undefined || choosesByRequest(policy);
}

function asksOfTheAnswer({ cors, response }: RoutePolicy): boolean {
  const { customHeaders, redirectRewrite, cookieDomain, cookiePath } = response;
  return (
    (cors ?? customHeaders ?? redirectRewrite) !== undefined || cookieDomain.length + cookiePath.length > 0
  );
}
