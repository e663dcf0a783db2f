import { readFileSync } from 'node:fs';
import { lookup, Resolver } from 'node:dns/promises';
import { resolve } from 'node:path';
import { Fault, messageOf } from '../../../src/base/fault.ts';
import { familyOf, joinHostPort, splitHostPort } from '../../../src/net/ip.ts';
import type { Token } from '../../corefile/syntax.ts';
import type { SetupContext } from '../../plugin.ts';
import type { Peer } from '../../query.ts';
import { parseName } from '../../wire/name.ts';
import { parseResolvConf } from './resolv-conf.ts';
import type { UpstreamSpec } from './upstream.ts';

const DEFAULT_PORTS = { dns: 53, tls: 853, https: 443 } as const;
type Scheme = keyof typeof DEFAULT_PORTS;

/**
 * One word of the TO list: `[dns://|tls://]ADDRESS[%NAME][:PORT]`, `https://HOST[/PATH]`, a host name, or a file like
 * resolv.conf. A spec whose address is a name is looked up when the plugin opens.
 */
export function readUpstreams(
  context: SetupContext,
  token: Token,
  serverName: string | undefined,
): UpstreamSpec[] {
  const [, given = 'dns', rest = ''] = /^(?:([a-z0-9]+):\/\/)?(.*)$/i.exec(token.text) ?? [];
  const scheme = given.toLowerCase();
  if (scheme !== 'dns' && scheme !== 'tls' && scheme !== 'https') {
    context.fault(token, `upstreams are asked by dns://, tls:// or https://, not ${scheme}://`);
    return [];
  }
  const { address, name } = splitServerName(rest);
  if (name !== undefined && scheme !== 'dns' && serverName !== undefined) {
    context.fault(token, `"${name}" and tls_servername ${serverName} both name the server: keep one`);
  }
  if (scheme === 'https') return httpsSpec(context, token, address, name ?? serverName);
  const spec = addressSpec(address, scheme, name ?? serverName);
  if (spec) return [scheme === 'dns' && name !== undefined ? onInterface(spec, name) : spec];
  return (
    fromFile(context, token, rest, { scheme, serverName }) ??
    named(context, token, address, { scheme, serverName })
  );
}

/** `9.9.9.9%dns.quad9.net:853` and `[2620:fe::fe%dns.quad9.net]:853`: the name stands between address and port. */
function splitServerName(text: string): { readonly address: string; readonly name: string | undefined } {
  const [, open = '', host = '', name, port = ''] = /^(\[?)([^%]*)%([^\]:%]+)\]?(:\d+)?$/.exec(text) ?? [];
  if (name === undefined) return { address: text, name };
  const bracketed = open === '' && !(host.includes(':') && port !== '') ? host : `[${host}]`;
  return { address: bracketed + port, name };
}

function addressSpec(text: string, scheme: Scheme, serverName: string | undefined): UpstreamSpec | undefined {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  const split = familyOf(bare) ? { host: bare, port: DEFAULT_PORTS[scheme] } : splitHostPort(text);
  if (!split || !familyOf(split.host)) return undefined;
  return { scheme, address: split.host, port: split.port, serverName, url: undefined };
}

/** `fe80::1%eth0`: without TLS what follows the percent sign is the interface of a link-local address (RFC 4007). */
function onInterface(spec: UpstreamSpec, name: string): UpstreamSpec {
  return { ...spec, address: `${spec.address}%${name}`, serverName: undefined };
}

function httpsSpec(
  context: SetupContext,
  token: Token,
  rest: string,
  serverName: string | undefined,
): UpstreamSpec[] {
  const url = rest.includes('/') ? `https://${rest}` : `https://${rest}/dns-query`;
  if (URL.canParse(url)) {
    return [{ scheme: 'https', address: new URL(url).hostname, port: DEFAULT_PORTS.https, serverName, url }];
  }
  context.fault(token, `"${token.text}" is not a URL`);
  return [];
}

interface Manner {
  readonly scheme: 'dns' | 'tls';
  readonly serverName: string | undefined;
}

/** Undefined when there is no such file. */
function fromFile(
  context: SetupContext,
  token: Token,
  path: string,
  { scheme, serverName }: Manner,
): UpstreamSpec[] | undefined {
  let text: string;
  try {
    text = readFileSync(resolve(context.root, path), 'utf8');
  } catch {
    return undefined;
  }
  const { nameservers } = parseResolvConf(text);
  const specs = nameservers.flatMap((one) => addressSpec(one, scheme, serverName) ?? []);
  if (specs.length === 0) context.fault(token, `"${path}" names no nameserver`);
  return specs;
}

/** A host name has at least one dot, or a port: else it is more likely a file that is missing. */
function named(
  context: SetupContext,
  token: Token,
  text: string,
  { scheme, serverName }: Manner,
): UpstreamSpec[] {
  const { host, port } = splitHostPort(text) ?? { host: text, port: DEFAULT_PORTS[scheme] };
  const likely = /^[a-z0-9_]([a-z0-9_.-]*)$/i.test(host) && /[a-z]/i.test(host.replace(/^.*\./, '') || host);
  const telling = host.includes('.') || text !== host;
  if (likely && telling && parseName(host) !== undefined) {
    const own = scheme === 'tls' ? (serverName ?? host.replace(/\.$/, '')) : undefined;
    return [{ scheme, address: host, port, serverName: own, url: undefined }];
  }
  context.fault(token, `"${token.text}" is neither an address, nor a host name, nor a readable resolv.conf`);
  return [];
}

/**
 * The same list with addresses in place of names, each address once. Asks `resolvers`, or the host when there are none.
 * Rejects with Fault UPSTREAM_UNKNOWN.
 */
export async function resolveUpstreams(
  specs: readonly UpstreamSpec[],
  resolvers: readonly Peer[],
): Promise<UpstreamSpec[]> {
  const found: UpstreamSpec[] = [];
  for (const spec of specs) {
    const isName = spec.scheme !== 'https' && !familyOf(spec.address.replace(/%.*/, ''));
    const addresses = isName ? await addressesOf(spec.address, resolvers) : [spec.address];
    found.push(...addresses.map((address) => ({ ...spec, address })));
  }
  const keyOf = ({ scheme, address, port, url }: UpstreamSpec): string =>
    `${scheme} ${url ?? address} ${port}`;
  return [...new Map(found.map((spec) => [keyOf(spec), spec])).values()];
}

async function addressesOf(name: string, resolvers: readonly Peer[]): Promise<readonly string[]> {
  try {
    if (resolvers.length === 0) return (await lookup(name, { all: true })).map(({ address }) => address);
    const resolver = new Resolver({ timeout: RESOLVE_TIMEOUT_MS, tries: 2 });
    resolver.setServers(resolvers.map(({ address, port }) => joinHostPort(address, port)));
    const both = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = both.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    if (addresses.length > 0) return addresses;
    throw both.find((one) => one.status === 'rejected')?.reason ?? new Error('it has no address');
  } catch (cause) {
    throw new Fault('UPSTREAM_UNKNOWN', `forward: ${name} cannot be looked up: ${messageOf(cause)}`, {
      cause,
    });
  }
}

const RESOLVE_TIMEOUT_MS = 2000;
