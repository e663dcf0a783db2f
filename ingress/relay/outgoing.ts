import { randomBytes } from 'node:crypto';
import { type FieldName, fieldName, Fields, Role } from '../http/fields.ts';
import { addClientCertificateFields } from '../access/client-certificate.ts';
import type { InterimHead, RequestHead, ResponseHead } from '../http/message.ts';
import { permittedTrailers } from '../http/trailers.ts';
import type { OutgoingRequest } from '../upstream/stream.ts';
import { isAuthority } from '../http/framing.ts';
import type { RoutedRequest } from './context.ts';
import { expand } from './variables.ts';

const X_REQUEST_ID = fieldName('X-Request-ID');
const X_REAL_IP = fieldName('X-Real-IP');
const X_FORWARDED_FOR = fieldName('X-Forwarded-For');
const X_FORWARDED_HOST = fieldName('X-Forwarded-Host');
const X_FORWARDED_PORT = fieldName('X-Forwarded-Port');
const X_FORWARDED_PROTO = fieldName('X-Forwarded-Proto');
const X_FORWARDED_SCHEME = fieldName('X-Forwarded-Scheme');
const X_SCHEME = fieldName('X-Scheme');
const X_ORIGINAL_FORWARDED_FOR = fieldName('X-Original-Forwarded-For');

/**
 * The fields an upstream gets: the client's without hop-by-hop ones, those Connection names and those we write
 * ourselves; then ours. Strip first, add after: a client can neither forge nor remove what we add.
 */
export function requestFields(
  request: RoutedRequest,
  requestId: string,
  drop: ReadonlySet<string> | undefined,
): Fields {
  const out = new Fields();
  passRequestFields(request, drop, out);
  if (requestId !== '') out.push(X_REQUEST_ID, requestId);
  const client = request.clientAddress;
  out.push(X_REAL_IP, client);
  const theirs = request.head.fields.joined('x-forwarded-for');
  out.push(X_FORWARDED_FOR, forwardedFor(request, theirs));
  out.push(X_FORWARDED_HOST, request.host);
  out.push(X_FORWARDED_PORT, request.port);
  out.push(X_FORWARDED_PROTO, request.scheme);
  out.push(X_FORWARDED_SCHEME, request.scheme);
  out.push(X_SCHEME, request.scheme);
  if (theirs !== undefined) out.push(X_ORIGINAL_FORWARDED_FOR, theirs);
  if (request.settings.forwardedHeader) out.add('Forwarded', forwardedField(request));
  const prefix = request.route.policy.upstream.forwardedPrefix;
  if (prefix !== undefined)
    out.set('X-Forwarded-Prefix', fillCaptures(expand(prefix, request), request.captures));
  for (const [name, value] of request.settings.proxySetHeaders) out.set(name, value);
  return out;
}

function passRequestFields(request: RoutedRequest, drop: ReadonlySet<string> | undefined, out: Fields): void {
  const { names, values } = request.head.fields;
  const listed = request.head.connectionNames;
  const underscores = request.settings.underscoresInHeaders;
  const forwarded = request.settings.forwardedHeader;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name.role !== Role.PLAIN && name.role !== Role.TRAILER) continue;
    if (listed !== undefined && listed.includes(name.lower)) continue;
    if (drop !== undefined && drop.has(name.lower)) continue;
    if (!underscores && name.lower.includes('_')) continue;
    if (forwarded && name.lower === 'forwarded') continue;
    out.push(name, values[i]!);
  }
}

function forwardedFor(request: RoutedRequest, theirs: string | undefined): string {
  if (!request.peerTrusted || !request.settings.appendForwardedFor || theirs === undefined)
    return request.clientAddress;
  return `${theirs}, ${request.connection.clientAddress}`;
}

/** RFC 7239 section 4: addresses of IPv6 in brackets and quotes. */
function forwardedField(request: RoutedRequest): string {
  const node = request.clientAddress;
  const forText = node.includes(':') ? `"[${node}]"` : node;
  const theirs = request.peerTrusted ? request.head.fields.joined('forwarded') : undefined;
  const ours = `for=${forText};host="${request.host.replaceAll('"', '')}";proto=${request.scheme}`;
  return theirs === undefined ? ours : `${theirs}, ${ours}`;
}

/** The trailers an upstream gets: none that could pass for a field we write or an auth service gives. */
export function requestTrailers(trailers: Fields, request: RoutedRequest): Fields | undefined {
  const given = request.route.policy.access.external?.responseHeaders ?? [];
  return permittedTrailers(trailers, new Set(given.map((name) => name.toLowerCase())));
}

/** The fields a client gets of an upstream's answer, before policies change them. */
export function responseFields(head: ResponseHead | InterimHead, hidden: readonly string[]): Fields {
  const out = new Fields();
  const { names, values } = head.fields;
  const listed = head.connectionNames;
  const lengthless = head.status < 200 || head.status === 204; // RFC 9110 section 8.6
  for (let i = 0; i < names.length; i++) {
    const name: FieldName = names[i]!;
    if (name.role !== Role.PLAIN && !passesInResponse(name.role)) continue;
    if (lengthless && name.role === Role.CONTENT_LENGTH) continue;
    if (listed !== undefined && listed.includes(name.lower)) continue;
    if (hidden.length > 0 && hidden.includes(name.lower)) continue;
    out.push(name, values[i]!);
  }
  return out;
}

/** Roles that mean something only in requests pass in responses. */
function passesInResponse(role: Role): boolean {
  return (
    role === Role.CONTENT_LENGTH ||
    role === Role.FORWARDED ||
    role === Role.X_FORWARDED_FOR ||
    role === Role.X_REQUEST_ID ||
    role === Role.TRAILER ||
    role === Role.HOST ||
    role === Role.EXPECT ||
    role === Role.PROXY
  );
}

/** The target sent upstream: as received, or rewritten with the query kept. */
export function outgoingTarget(request: RoutedRequest): string {
  const template = request.route.policy.rewriteTarget;
  if (template === undefined) return request.head.target;
  const path = fillCaptures(template, request.captures);
  const at = request.head.target.indexOf('?');
  const query = at < 0 ? '' : request.head.target.slice(at + 1);
  if (query === '') return path === '' ? '/' : path;
  return `${path === '' ? '/' : path}${path.includes('?') ? '&' : '?'}${query}`;
}

/** `$1` to `$9` from the captures; unmatched ones are empty. */
export function fillCaptures(template: string, captures: readonly string[] | undefined): string {
  if (!template.includes('$')) return template;
  return template.replace(/\$(\d)/g, (_, digit: string) => captures?.[Number(digit)] ?? '');
}

/** Methods that may be sent again after they were sent (RFC 9110 section 9.2.2). */
export function isIdempotent(head: RequestHead): boolean {
  const { method } = head;
  return method !== 'POST' && method !== 'PATCH' && method !== 'LOCK';
}

/** The Host an endpoint gets. */
export function upstreamAuthority(request: RoutedRequest): string {
  const { vhost } = request.route.policy.upstream;
  if (vhost === undefined) return request.host;
  const name = expand(vhost, request);
  return isAuthority(name) ? name : request.host;
}

/** The request an endpoint gets; `added` are fields an auth service gave. */
export function outgoingRequest(
  request: RoutedRequest,
  requestId: string,
  added: Fields | undefined,
): OutgoingRequest {
  const { head, route } = request;
  const { upstream, access, clientCertificate } = route.policy;
  const drop = access.external && new Set(access.external.responseHeaders.map((name) => name.toLowerCase()));
  const fields = requestFields(request, requestId, drop);
  if (added) for (let i = 0; i < added.length; i++) fields.push(added.names[i]!, added.values[i]!);
  if (clientCertificate) addClientCertificateFields(request, clientCertificate, fields);
  if (head.fields.get('te')?.includes('trailers') && upstream.protocol.startsWith('GRPC'))
    fields.add('te', 'trailers');
  if (head.version === 20 && head.upgrade !== undefined)
    fields.set('Sec-WebSocket-Key', randomBytes(16).toString('base64')); // RFC 8441 section 5: HTTP/2 has none
  const https = upstream.protocol === 'HTTPS' || upstream.protocol === 'GRPCS';
  return {
    method: head.method,
    target: outgoingTarget(request),
    authority: upstreamAuthority(request),
    scheme: https || (upstream.protocol === 'AUTO_HTTP' && request.scheme === 'https') ? 'https' : 'http',
    fields,
    bodyLength: head.bodyLength,
    upgrade: head.upgrade,
    version: upstream.httpVersion,
    close: upstream.connectionHeader?.toLowerCase() === 'close',
  };
}
