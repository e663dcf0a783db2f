import type { Case, CaseGroup, CaseRequest } from './case-types.ts';

/** As the case says, and the same over TLS and over HTTP/2. */
export const MODES = ['as-is', 'tls', 'h2'] as const;
export type Mode = (typeof MODES)[number];

/** Groups whose answers depend on the scheme or the port. */
const ABOUT_THE_SCHEME = new Set(['ngx-ssl-redirect', 'ngx-forwarded-untrusted']);
/** Too many handshakes for what they would show. */
const COUNT_MAX = 100;

/** The same request another way; undefined where the case is about the way itself. */
export function inMode(one: Case, mode: Mode, group: CaseGroup): CaseRequest | undefined {
  const { request } = one;
  if (mode === 'as-is') return request;
  if (isFixed(one) || isAboutTheScheme(one, group)) return undefined;
  if (mode === 'h2' && (request.headers?.['upgrade'] !== undefined || (request.count ?? 1) > COUNT_MAX))
    return undefined;
  const sni = request.host === undefined || /^[\d.]+$/.test(request.host) ? null : request.host;
  return { ...request, tls: { sni }, ...(mode === 'h2' && { httpVersion: '2' }) };
}

function isFixed({ request }: Case): boolean {
  const { raw, tls, httpVersion, proxyProtocol, clientAbortsAfterMs } = request;
  return (raw ?? tls ?? httpVersion ?? proxyProtocol ?? clientAbortsAfterMs) !== undefined;
}

function isAboutTheScheme(one: Case, group: CaseGroup): boolean {
  const { request, expect } = one;
  return (
    (expect.location ?? expect.locationIn) !== undefined ||
    JSON.stringify(expect).includes('x-forwarded-p') ||
    ABOUT_THE_SCHEME.has(group.id) ||
    group.settings?.proxyProtocol === true ||
    request.host === '' ||
    // one client's allowance is used up by the first run
    one.id.startsWith('ngx-upstream/limit-')
  );
}
