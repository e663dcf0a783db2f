import { type Fields, Role } from './fields.ts';
import {
  NO_BODY,
  UNKNOWN_LENGTH,
  UNTIL_CLOSE,
  type BadHead,
  type RequestHead,
  type ResponseHead,
} from './message.ts';
import type { RawHead } from './head.ts';

/** Message framing and host rules (RFC 9112 sections 3.2, 6; RFC 9110 section 7.6.1) over a scanned head. */

const bad = (status: number, reason: string): BadHead => ({ status, reason });

/** uri-host [ ":" port ] without userinfo. */
const AUTHORITY = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;

/** The last good one: most requests of a moment are for the same host. */
let goodAuthority = 'localhost';

export function isAuthority(text: string): boolean {
  if (text === goodAuthority) return true;
  if (!AUTHORITY.test(text)) return false;
  goodAuthority = text;
  return true;
}

interface Scanned {
  host: string | undefined;
  hosts: number;
  lengths: number;
  length: number;
  codings: number;
  coding: string;
  close: boolean;
  keepAlive: boolean;
  upgradeAsked: boolean;
  upgrade: string | undefined;
  expect: string | undefined;
  names: string[] | undefined;
}

/** Looks once at every field that framing depends on. length is -1 when it does not parse. */
function scan(fields: Fields): Scanned {
  const seen: Scanned = {
    host: undefined,
    hosts: 0,
    lengths: 0,
    length: 0,
    codings: 0,
    coding: '',
    close: false,
    keepAlive: false,
    upgradeAsked: false,
    upgrade: undefined,
    expect: undefined,
    names: undefined,
  };
  for (let i = 0; i < fields.names.length; i++) {
    const role = fields.names[i]!.role;
    if (role !== Role.PLAIN) note(seen, role, fields.values[i]!);
  }
  return seen;
}

function note(seen: Scanned, role: Role, value: string): void {
  if (role === Role.HOST) {
    seen.hosts++;
    seen.host = value;
  } else if (role === Role.CONTENT_LENGTH) {
    seen.lengths++;
    seen.length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
  } else if (role === Role.TRANSFER_ENCODING) {
    seen.codings++;
    seen.coding = value.toLowerCase();
  } else if (role === Role.CONNECTION) noteConnection(seen, value);
  else if (role === Role.UPGRADE) seen.upgrade = value.toLowerCase();
  else if (role === Role.EXPECT) seen.expect = value.toLowerCase();
}

function noteConnection(seen: Scanned, value: string): void {
  if (value === 'keep-alive' || value === 'Keep-Alive') {
    seen.keepAlive = true;
    return;
  }
  for (const part of value.toLowerCase().split(',')) {
    const option = part.trim();
    if (option === 'close') seen.close = true;
    else if (option === 'keep-alive') seen.keepAlive = true;
    else if (option === 'upgrade') seen.upgradeAsked = true;
    else if (option !== '') (seen.names ??= []).push(option);
  }
}

/** A request head with its body length decided, or what to answer instead. */
export function frameRequest(raw: RawHead): RequestHead | BadHead {
  const [method, rawTarget, versionText] = raw.startLine;
  const version = versionText === 'HTTP/1.1' ? 11 : versionText === 'HTTP/1.0' ? 10 : undefined;
  if (!version)
    return /^HTTP\/\d\.\d$/.test(versionText) ? bad(505, 'unknown version') : bad(400, 'bad version');
  const seen = scan(raw.fields);
  const bodyLength = requestBodyLength(seen, version);
  if (typeof bodyLength !== 'number') return bodyLength;
  const place = placeOf(method, rawTarget, seen, version);
  if ('status' in place) return place;
  if (seen.expect !== undefined && seen.expect !== '100-continue') return bad(417, 'unknown expectation');
  return {
    method,
    target: place.target,
    version,
    authority: place.authority,
    fields: raw.fields,
    bodyLength,
    keepAlive: version === 11 ? !seen.close : seen.keepAlive && !seen.close,
    upgrade: seen.upgradeAsked && version === 11 && mayUpgrade(seen.upgrade) ? seen.upgrade : undefined,
    expectContinue: version === 11 && seen.expect !== undefined && bodyLength !== NO_BODY,
    connectionNames: seen.names,
  };
}

/**
 * h2c, TLS and HTTP versions would turn the tunnel into another HTTP connection to the backend, past every rule
 * ("h2c smuggling"); they are hop-by-hop offers we do not take up (RFC 9110 section 7.8).
 */
function mayUpgrade(protocols: string | undefined): boolean {
  return protocols !== undefined && !/(^|[\s,])(h2c?|http|tls)($|[\s,/])/.test(protocols);
}

function requestBodyLength(seen: Scanned, version: 10 | 11): number | BadHead {
  if (seen.codings > 0) {
    if (seen.lengths > 0) return bad(400, 'both Content-Length and Transfer-Encoding');
    if (version === 10) return bad(400, 'Transfer-Encoding in HTTP/1.0');
    if (seen.codings > 1) return bad(400, 'several Transfer-Encoding fields');
    if (seen.coding !== 'chunked')
      return bad(/^[a-z, -]+$/.test(seen.coding) ? 501 : 400, 'unknown Transfer-Encoding');
    return UNKNOWN_LENGTH;
  }
  if (seen.lengths === 0) return NO_BODY;
  if (seen.lengths > 1) return bad(400, 'several Content-Length fields');
  return seen.length < 0 ? bad(400, 'bad Content-Length') : seen.length;
}

function placeOf(
  method: string,
  rawTarget: string,
  seen: Scanned,
  version: 10 | 11,
): { target: string; authority: string } | BadHead {
  if (seen.hosts > 1) return bad(400, 'several Host fields');
  if (seen.hosts === 0 && version === 11) return bad(400, 'no Host');
  const host = seen.host ?? '';
  if (host !== '' ? !isAuthority(host) : version === 11 && rawTarget.startsWith('/'))
    return bad(400, 'bad Host');
  if (method === 'CONNECT') return bad(405, 'CONNECT is not served');
  if (rawTarget.charCodeAt(0) === 47) return { target: rawTarget, authority: host };
  if (rawTarget === '*' && method === 'OPTIONS') return { target: '*', authority: host };
  const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(rawTarget);
  if (!absolute || !isAuthority(absolute[1]!)) return bad(400, 'bad request target');
  const rest = absolute[2]!;
  return { target: rest.startsWith('/') ? rest : `/${rest}`, authority: absolute[1]! };
}

/** A response head with its body length decided (RFC 9112 section 6.3), or the reason to distrust it. */
export function frameResponse(raw: RawHead, requestMethod: string): ResponseHead | BadHead {
  const status = Number(raw.startLine[1]);
  const version = raw.startLine[0] === 'HTTP/1.1' ? 11 : 10;
  const seen = scan(raw.fields);
  const bodyLength = responseBodyLength(seen, status, requestMethod, version);
  if (typeof bodyLength !== 'number') return bodyLength;
  return {
    status,
    reason: raw.startLine[2],
    version,
    fields: raw.fields,
    bodyLength,
    keepAlive: bodyLength !== UNTIL_CLOSE && (version === 11 ? !seen.close : seen.keepAlive && !seen.close),
    connectionNames: seen.names,
  };
}

function responseBodyLength(
  seen: Scanned,
  status: number,
  method: string,
  version: 10 | 11,
): number | BadHead {
  if (seen.codings > 0 && seen.lengths > 0) return bad(502, 'both Content-Length and Transfer-Encoding');
  if (seen.lengths > 1 || seen.length < 0) return bad(502, 'bad Content-Length');
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return NO_BODY;
  if (seen.codings > 0) {
    if (seen.codings > 1 || seen.coding !== 'chunked' || version === 10)
      return bad(502, 'unknown Transfer-Encoding');
    return UNKNOWN_LENGTH;
  }
  return seen.lengths === 1 ? seen.length : UNTIL_CLOSE;
}
