import { applyCors } from '../access/cors.ts';
import type { Fields } from '../http/fields.ts';
import type { ResponsePolicy } from '../policy.ts';
import type { RoutedRequest } from './context.ts';
import { upstreamAuthority } from './outgoing.ts';

/** The allowed fields of a custom-headers ConfigMap, by `namespace/name`. */
export type ResponseHeaders = (configMap: string) => readonly (readonly [string, string])[];

/** What policies do to the fields of every answer: CORS, HSTS, custom headers, Location and cookie rewriting. */
export function shapeResponse(
  request: RoutedRequest,
  status: number,
  fields: Fields,
  custom: ResponseHeaders,
): void {
  const { policy, hostHasTls } = request.route;
  if (policy.cors && !(status === 204 && request.head.method === 'OPTIONS')) {
    applyCors(policy.cors, request.head.fields.get('origin'), fields);
  }
  const { hsts, addHeaders } = request.settings;
  if (hsts && hostHasTls && request.scheme === 'https') fields.set('Strict-Transport-Security', hsts.value);
  for (const [name, value] of addHeaders) fields.set(name, value);
  const { response } = policy;
  if (response.customHeaders !== undefined)
    for (const [name, value] of custom(response.customHeaders)) fields.set(name, value);
  if (response.redirectRewrite) rewriteRedirect(request, response, fields);
  if (response.cookieDomain.length > 0 || response.cookiePath.length > 0) rewriteCookies(response, fields);
}

/** proxy-redirect-from/-to: the start of Location and Refresh is replaced; `default` maps the backend's name to ours. */
function rewriteRedirect(request: RoutedRequest, policy: ResponsePolicy, fields: Fields): void {
  const location = fields.get('location');
  if (location === undefined) return;
  const rule =
    policy.redirectRewrite === 'default'
      ? {
          from: `http://${upstreamAuthority(request)}/`,
          to: `${request.scheme}://${request.host}/`,
        }
      : policy.redirectRewrite!;
  if (location.startsWith(rule.from)) fields.set('Location', rule.to + location.slice(rule.from.length));
}

function rewriteCookies(policy: ResponsePolicy, fields: Fields): void {
  for (let i = 0; i < fields.names.length; i++) {
    if (fields.names[i]!.lower !== 'set-cookie') continue;
    let value = fields.values[i]!;
    for (const [from, to] of policy.cookieDomain) {
      value = value.replace(/(;\s*domain=)([^;]*)/i, (all, start: string, domain: string) =>
        domain.toLowerCase().replace(/^\./, '') === from.toLowerCase().replace(/^\./, '') ? start + to : all,
      );
    }
    for (const [from, to] of policy.cookiePath) {
      value = value.replace(/(;\s*path=)([^;]*)/i, (all, start: string, path: string) =>
        path.startsWith(from) ? start + to + path.slice(from.length) : all,
      );
    }
    fields.values[i] = value;
  }
}
