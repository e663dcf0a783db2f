import type { RouteMatch, RouteTable } from '../compile/route-table.ts';
import type { MatchTrace } from '../compile/path-table.ts';
import { hostName } from '../compile/route-table.ts';
import { fillCaptures } from './outgoing.ts';
import { inCidrs, type RequestContext, type RoutedRequest } from './context.ts';
import { expand } from './variables.ts';
import { preflightReply } from '../access/cors.ts';
import { redirect, type Reply, reply } from './reply.ts';

/**
 * The part of a request's fate that needs no state and no waiting: route, redirects, preflights. Live traffic and
 * `explain` both come through here.
 */
export type Verdict =
  | { readonly kind: 'reply'; readonly reply: Reply; readonly routed: RoutedRequest | undefined }
  | { readonly kind: 'go'; readonly routed: RoutedRequest };

export function decide(table: RouteTable, context: RequestContext, trace?: MatchTrace): Verdict {
  const { head } = context;
  if (head.method === 'TRACE')
    return { kind: 'reply', reply: reply(405, 'TRACE is not served'), routed: undefined };
  if (head.target === '*') return { kind: 'reply', reply: reply(200, 'OPTIONS *'), routed: undefined };
  const found = table.match(head.authority, head.target, trace);
  if (found.kind !== 'route')
    return { kind: 'reply', reply: unroutedReply(found, context), routed: undefined };
  const routed: RoutedRequest = {
    ...context,
    route: found.route,
    path: found.path,
    captures: found.captures,
  };
  const early = earlyReply(routed);
  return early ? { kind: 'reply', reply: early, routed } : { kind: 'go', routed };
}

function unroutedReply(found: RouteMatch, context: RequestContext): Reply {
  if (found.kind === 'bad-path') return reply(400, 'path cannot be understood');
  if (found.kind === 'redirect-host') {
    const code = context.settings.httpRedirectCode;
    const origin = `${context.scheme}://${found.host}${portSuffix(context)}`;
    return redirect(code, `${origin}${context.head.target}`, 'from-to-www-redirect');
  }
  return reply(404, 'no rule takes this host and path');
}

/** Replies that come before limits and access, in nginx's order. */
function earlyReply(request: RoutedRequest): Reply | undefined {
  const { policy } = request.route;
  if (policy.closed !== undefined) return reply(503, `closed: ${policy.closed}`);
  const limit = policy.proxy.bodyBytesMax;
  if (limit > 0 && request.head.bodyLength > limit) return reply(413, 'proxy-body-size');
  if (policy.redirect)
    return redirect(policy.redirect.status, expand(policy.redirect.location, request), 'redirect annotation');
  if (policy.cors && request.head.method === 'OPTIONS') {
    const preflight = preflightReply(policy.cors, request.head.fields.get('origin'));
    if (preflight) return preflight;
  }
  const toHttps = sslRedirect(request);
  if (toHttps) return toHttps;
  if (policy.appRoot !== undefined && request.path === '/') {
    return redirect(302, `${request.scheme}://${request.host}${policy.appRoot}`, 'app-root');
  }
  const rewrite = policy.rewriteTarget;
  if (rewrite !== undefined && /^https?:\/\//.test(rewrite)) {
    return redirect(302, fillCaptures(rewrite, request.captures), 'rewrite-target to another site');
  }
  return undefined;
}

function sslRedirect(request: RoutedRequest): Reply | undefined {
  if (request.scheme === 'https' || request.route.acmeChallenge) return undefined;
  const { policy, hostHasTls } = request.route;
  if (!policy.forceSslRedirect && !(policy.sslRedirect && hostHasTls)) return undefined;
  if (request.settings.noTlsRedirectPaths.some((path) => request.path.startsWith(path))) return undefined;
  let target = request.head.target;
  if (!policy.preserveTrailingSlash && request.settings.strict && target.length > 1 && target.endsWith('/'))
    target = target.slice(0, -1);
  const { httpRedirectCode, httpsPort } = request.settings;
  const origin = `https://${hostName(request.host)}${httpsPort === 443 ? '' : `:${httpsPort}`}`;
  return redirect(httpRedirectCode, `${origin}${target}`, 'ssl-redirect');
}

/** The port the client used, where it is not the scheme's own. */
function portSuffix(context: RequestContext): string {
  return /:\d+$/.exec(context.host)?.[0] ?? '';
}

/** Source ranges: undefined = nothing to say, true = allowed, false = refused. */
export function sourceAllowed(request: RoutedRequest): boolean | undefined {
  const { allow, deny } = request.route.policy.access;
  const { globalAllow, globalDeny } = request.settings;
  const allowed = allow ?? globalAllow;
  if (!allowed && deny.length === 0 && globalDeny.length === 0) return undefined;
  if (inCidrs(deny, request.clientAddress) || inCidrs(globalDeny, request.clientAddress)) return false;
  return allowed ? inCidrs(allowed, request.clientAddress) : undefined;
}
