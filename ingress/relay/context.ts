import { cidrContains, type Cidr } from '../../src/net/cidr.ts';
import { parseAddress } from '../../src/net/ip.ts';
import type { Route } from '../compile/route.ts';
import type { ConnectionFacts } from '../http/exchange.ts';
import { Fields, Role } from '../http/fields.ts';
import type { RequestHead } from '../http/message.ts';
import type { GlobalSettings } from '../settings.ts';

/** A request with what follows from its connection and from whom we believe. Made once per request, by live traffic and by explain. */
export interface RequestContext {
  readonly head: RequestHead;
  readonly connection: ConnectionFacts;
  readonly settings: GlobalSettings;
  /** The peer is a proxy whose forwarded headers count. */
  readonly peerTrusted: boolean;
  /** The client as access rules and logs see it. */
  readonly clientAddress: string;
  /** What the client used: ours, or what a trusted proxy says. */
  readonly scheme: 'http' | 'https';
  /** Host the client asked for, with port: ours or X-Forwarded-Host of a trusted proxy. */
  readonly host: string;
  readonly port: string;
}

/** What a request is once its route is known. */
export interface RoutedRequest extends RequestContext {
  readonly route: Route;
  /** Normalised path it was matched by. */
  readonly path: string;
  readonly captures: readonly string[] | undefined;
}

/** The parsed peer address is the same for all requests of a connection. */
const trust = new WeakMap<ConnectionFacts, { cidrs: readonly Cidr[]; trusted: boolean }>();

function peerTrusted(connection: ConnectionFacts, settings: GlobalSettings): boolean {
  if (!settings.useForwardedHeaders) return false;
  const known = trust.get(connection);
  if (known?.cidrs === settings.trustedProxies) return known.trusted;
  const trusted = inCidrs(settings.trustedProxies, connection.clientAddress);
  trust.set(connection, { cidrs: settings.trustedProxies, trusted });
  return trusted;
}

/** True when the textual address lies in one of them. An IPv4-mapped IPv6 address counts as its IPv4 address. */
export function inCidrs(cidrs: readonly Cidr[], address: string): boolean {
  const bytes = parseAddress(plainAddress(address));
  return bytes !== undefined && cidrs.some((cidr) => cidrContains(cidr, bytes));
}

/** `::ffff:10.0.0.1` is `10.0.0.1`; zones are dropped. */
export function plainAddress(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone < 0 ? address : address.slice(0, zone);
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare;
}

export function contextOf(
  head: RequestHead,
  connection: ConnectionFacts,
  settings: GlobalSettings,
): RequestContext {
  const scheme = connection.secure || connection.proxiedPort === 443 ? 'https' : 'http';
  if (!peerTrusted(connection, settings)) {
    return {
      head,
      connection,
      settings,
      peerTrusted: false,
      clientAddress: connection.clientAddress,
      scheme,
      host: head.authority,
      port: String(connection.localPort),
    };
  }
  return trustedContext(head, connection, settings, scheme);
}

function trustedContext(
  head: RequestHead,
  connection: ConnectionFacts,
  settings: GlobalSettings,
  scheme: 'http' | 'https',
): RequestContext {
  const proto = firstOf(head.fields.get('x-forwarded-proto'))?.toLowerCase();
  const host = firstOf(head.fields.get('x-forwarded-host'));
  const port = firstOf(head.fields.get('x-forwarded-port'));
  const forwardedFor = head.fields.joined(settings.forwardedForHeader);
  return {
    head,
    connection,
    settings,
    peerTrusted: true,
    clientAddress: clientBehind(forwardedFor, connection.clientAddress, settings.trustedProxies),
    scheme:
      proto === 'https' || proto === 'wss' ? 'https' : proto === 'http' || proto === 'ws' ? 'http' : scheme,
    host: host ?? head.authority,
    port: port !== undefined && /^\d{1,5}$/.test(port) ? port : String(connection.localPort),
  };
}

function firstOf(value: string | undefined): string | undefined {
  const first = value?.split(',', 1)[0]?.trim();
  return first === '' ? undefined : first;
}

/** Walks X-Forwarded-For from the right past trusted hops; the first other one is the client. */
function clientBehind(forwardedFor: string | undefined, peer: string, trusted: readonly Cidr[]): string {
  let client = peer;
  const hops = forwardedFor?.split(',') ?? [];
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = hops[i]!.trim().replace(/^"?\[?([^\]"]*)\]?(?::\d+)?"?$/, '$1');
    const address = plainAddress(hop.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1'));
    if (!parseAddress(address)) break;
    client = address;
    if (!inCidrs(trusted, address)) break;
  }
  return client;
}

/** A copy of the client's fields that are about the request itself: nothing hop-by-hop, nothing forwarded. */
export function plainRequestFields(request: RequestContext): Fields {
  const out = new Fields();
  const { names, values } = request.head.fields;
  const listed = request.head.connectionNames;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (name.role !== Role.PLAIN || listed?.includes(name.lower)) continue;
    if (!request.settings.underscoresInHeaders && name.lower.includes('_')) continue;
    out.push(name, values[i]!);
  }
  return out;
}
