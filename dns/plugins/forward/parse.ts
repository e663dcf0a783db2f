import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { familyOf, splitHostPort } from '../../../src/net/ip.ts';
import {
  expectArgs,
  readDurationMs,
  readInteger,
  readOptions,
  readWord,
  readZones,
} from '../../corefile/options.ts';
import type { Line, Token } from '../../corefile/syntax.ts';
import type { SetupContext } from '../../plugin.ts';
import { parseRcode, type Rcode } from '../../wire/numbers.ts';
import { parseResolvConf } from './resolv-conf.ts';
import type { UpstreamSpec } from './upstream.ts';

export interface ForwardOptions {
  readonly from: readonly string[];
  readonly upstreams: readonly UpstreamSpec[];
  readonly except: readonly string[];
  readonly policy: 'random' | 'round_robin' | 'sequential';
  readonly forceTcp: boolean;
  readonly preferUdp: boolean;
  /** Failed checks after which an upstream counts as down; 0 = never. */
  readonly maxFails: number;
  readonly expireMs: number;
  readonly maxIdle: number;
  /** 0 = unlimited. */
  readonly maxConcurrent: number;
  readonly failFast: boolean;
  readonly healthCheckMs: number;
  readonly healthNoRecursion: boolean;
  readonly healthDomain: string;
  readonly next: readonly Rcode[];
  readonly nextOnNodata: boolean;
  readonly failover: readonly Rcode[];
  readonly source: string | undefined;
  readonly tls: ConnectionOptions;
}

/** CoreDNS's limit of the TO list. */
export const UPSTREAMS_MAX = 15;
const DEFAULT_PORTS = { dns: 53, tls: 853, https: 443 } as const;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const DEFAULTS: Omit<ForwardOptions, 'from' | 'upstreams'> = {
  except: [],
  policy: 'random',
  forceTcp: false,
  preferUdp: false,
  maxFails: 2,
  expireMs: 10_000,
  maxIdle: 0,
  maxConcurrent: 0,
  failFast: false,
  healthCheckMs: 500,
  healthNoRecursion: false,
  healthDomain: '.',
  next: [],
  nextOnNodata: false,
  failover: [],
  source: undefined,
  tls: {},
};

/** Reads `forward FROM TO... { options }`; undefined when nothing can be opened with it. */
export function parseForward(context: SetupContext): ForwardOptions | undefined {
  const { stanza } = context;
  if (!expectArgs(context, stanza, 2, Infinity)) return undefined;
  const [from, ...to] = stanza.args;
  const options: Mutable<ForwardOptions> = { ...DEFAULTS, from: readZones(context, [from!]), upstreams: [] };
  readOptions(context, { ...choiceReaders(context, options), ...transportReaders(context, options) });
  options.upstreams = to.flatMap((token) => readUpstreams(context, token, serverNameOf(options)));
  if (options.upstreams.length > UPSTREAMS_MAX) {
    context.fault(stanza.name, `at most ${UPSTREAMS_MAX} upstreams, ${options.upstreams.length} given`);
  }
  if (options.forceTcp && options.preferUdp) {
    context.fault(stanza.name, 'force_tcp and prefer_udp exclude each other');
  }
  return options;
}

function serverNameOf({ tls }: ForwardOptions): string | undefined {
  return tls.servername;
}

type Readers = Record<string, (line: Line) => void>;

function choiceReaders(context: SetupContext, options: Mutable<ForwardOptions>): Readers {
  const rcodes = (line: Line): Rcode[] => {
    if (!expectArgs(context, line, 1, Infinity)) return [];
    return line.args.flatMap((token) => {
      const rcode = parseRcode(token.text);
      if (!rcode) context.fault(token, `"${token.text}" is not a response code`);
      return rcode ?? [];
    });
  };
  return {
    except: (line) => {
      if (expectArgs(context, line, 1, Infinity)) options.except = readZones(context, line.args);
    },
    policy: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      const policies = ['random', 'round_robin', 'sequential'] as const;
      options.policy = readWord(context, line.args[0]!, policies) ?? options.policy;
    },
    max_fails: integer(context, 0, 1_000_000, (value) => (options.maxFails = value)),
    max_concurrent: integer(context, 0, 10_000_000, (value) => (options.maxConcurrent = value)),
    failfast_all_unhealthy_upstreams: flag(context, () => (options.failFast = true)),
    health_check: (line) => readHealthCheck(context, options, line),
    next: (line) => void (options.next = [...options.next, ...rcodes(line)]),
    next_on_nodata: flag(context, () => (options.nextOnNodata = true)),
    failover: (line) => void (options.failover = [...options.failover, ...rcodes(line)]),
  };
}

function transportReaders(context: SetupContext, options: Mutable<ForwardOptions>): Readers {
  return {
    force_tcp: flag(context, () => (options.forceTcp = true)),
    prefer_udp: flag(context, () => (options.preferUdp = true)),
    expire: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      options.expireMs = readDurationMs(context, line.args[0]!) ?? options.expireMs;
    },
    max_idle_conns: integer(context, 0, 1_000_000, (value) => (options.maxIdle = value)),
    source_address: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      const [token] = line.args;
      if (familyOf(token!.text)) options.source = token!.text;
      else context.fault(token!, `"${token!.text}" is not an address`);
    },
    tls: (line) => {
      if (expectArgs(context, line, 0, 3)) options.tls = { ...options.tls, ...readTlsFiles(context, line) };
    },
    tls_servername: (line) => {
      if (expectArgs(context, line, 1, 1)) options.tls = { ...options.tls, servername: line.args[0]!.text };
    },
  };
}

function integer(
  context: SetupContext,
  min: number,
  max: number,
  set: (value: number) => void,
): (line: Line) => void {
  return (line) => {
    const value = expectArgs(context, line, 1, 1) ? readInteger(context, line.args[0]!, min, max) : undefined;
    if (value !== undefined) set(value);
  };
}

function flag(context: SetupContext, set: () => void): (line: Line) => void {
  return (line) => {
    if (expectArgs(context, line, 0, 0)) set();
  };
}

/** `health_check DURATION [no_rec] [domain FQDN]`. */
function readHealthCheck(context: SetupContext, options: Mutable<ForwardOptions>, line: Line): void {
  if (!expectArgs(context, line, 1, 4)) return;
  const [interval, ...rest] = line.args;
  options.healthCheckMs = readDurationMs(context, interval!) ?? options.healthCheckMs;
  for (let i = 0; i < rest.length; i++) {
    const token = rest[i]!;
    if (token.text === 'no_rec') options.healthNoRecursion = true;
    else if (token.text === 'domain' && rest[i + 1])
      options.healthDomain = readZones(context, [rest[++i]!])[0] ?? '.';
    else context.fault(token, `"${token.text}" is not one of no_rec, domain NAME`);
  }
}

/** `tls`, `tls CA`, `tls CERT KEY`, `tls CERT KEY CA`. */
function readTlsFiles(context: SetupContext, line: Line): ConnectionOptions {
  const files = line.args.map((token) => {
    try {
      return readFileSync(resolve(context.root, token.text));
    } catch (error) {
      context.fault(token, `cannot read "${token.text}": ${(error as Error).message}`);
      return Buffer.alloc(0);
    }
  });
  if (files.length === 0) return {};
  if (files.length === 1) return { ca: files[0]! };
  return { cert: files[0]!, key: files[1]!, ...(files[2] && { ca: files[2] }) };
}

function readUpstreams(context: SetupContext, token: Token, serverName: string | undefined): UpstreamSpec[] {
  const [, scheme = 'dns', rest = ''] = /^(?:([a-z0-9]+):\/\/)?(.*)$/i.exec(token.text) ?? [];
  if (scheme !== 'dns' && scheme !== 'tls' && scheme !== 'https') {
    context.fault(token, `upstreams are asked by dns://, tls:// or https://, not ${scheme}://`);
    return [];
  }
  if (scheme === 'https') {
    const url = rest.includes('/') ? `https://${rest}` : `https://${rest}/dns-query`;
    if (URL.canParse(url)) return [{ scheme, address: new URL(url).hostname, port: 443, serverName, url }];
    context.fault(token, `"${token.text}" is not a URL`);
    return [];
  }
  const [host = '', ownName] = rest.split('%');
  const name = ownName ?? serverName;
  const spec = addressSpec(host, scheme, name);
  if (spec) return [spec];
  return fromResolvConf(context, token, scheme, name);
}

function addressSpec(
  text: string,
  scheme: 'dns' | 'tls',
  serverName: string | undefined,
): UpstreamSpec | undefined {
  const split = familyOf(text) ? { host: text, port: DEFAULT_PORTS[scheme] } : splitHostPort(text);
  if (!split || !familyOf(split.host)) return undefined;
  return { scheme, address: split.host, port: split.port, serverName, url: undefined };
}

function fromResolvConf(
  context: SetupContext,
  token: Token,
  scheme: 'dns' | 'tls',
  serverName: string | undefined,
): UpstreamSpec[] {
  const path = token.text.replace(/^[a-z]+:\/\//, '');
  try {
    const { nameservers } = parseResolvConf(readFileSync(resolve(context.root, path), 'utf8'));
    const specs = nameservers.flatMap((text) => addressSpec(text, scheme, serverName) ?? []);
    if (specs.length === 0) context.fault(token, `"${path}" names no nameserver`);
    return specs;
  } catch {
    context.fault(token, `"${token.text}" is neither an address nor a readable resolv.conf`);
    return [];
  }
}
