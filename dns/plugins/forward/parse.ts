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
import type { Peer } from '../../query.ts';
import { parseRcode, type Rcode } from '../../wire/numbers.ts';
import { readUpstreams } from './targets.ts';
import { READ_TIMEOUT_MS, type UpstreamSpec } from './upstream.ts';

export interface ForwardOptions {
  readonly from: readonly string[];
  readonly upstreams: readonly UpstreamSpec[];
  /** Asked at the start for upstreams that are host names; empty = the host's own. */
  readonly resolvers: readonly Peer[];
  readonly except: readonly string[];
  readonly policy: 'random' | 'round_robin' | 'sequential';
  readonly forceTcp: boolean;
  readonly preferUdp: boolean;
  /** Failed checks after which an upstream counts as down; 0 = never. */
  readonly maxFails: number;
  /** Tries for one question before it is given up; 0 = as many as its time allows; undefined = two an upstream. */
  readonly connectAttemptsMax: number | undefined;
  /** An upstream must answer within this; then the next is asked. */
  readonly readTimeoutMs: number;
  readonly expireMs: number;
  /** Connections are replaced at this age; 0 = never. */
  readonly maxAgeMs: number;
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
  readonly dohMethod: 'GET' | 'POST';
  readonly tls: ConnectionOptions;
}

/** CoreDNS's limit of the TO list. */
export const UPSTREAMS_MAX = 15;
const DNS_PORT = 53;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const DEFAULTS: Omit<ForwardOptions, 'from' | 'upstreams'> = {
  resolvers: [],
  except: [],
  policy: 'random',
  forceTcp: false,
  preferUdp: false,
  maxFails: 2,
  connectAttemptsMax: undefined,
  readTimeoutMs: READ_TIMEOUT_MS,
  expireMs: 10_000,
  maxAgeMs: 0,
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
  dohMethod: 'POST',
  tls: {},
};

/** Reads `forward FROM TO... { options }`; undefined when nothing can be opened with it. */
export function parseForward(context: SetupContext): ForwardOptions | undefined {
  const { stanza } = context;
  if (!expectArgs(context, stanza, 2, Infinity)) return undefined;
  const [from, ...to] = stanza.args;
  const options: Mutable<ForwardOptions> = { ...DEFAULTS, from: readZones(context, [from!]), upstreams: [] };
  readOptions(context, { ...choiceReaders(context, options), ...transportReaders(context, options) });
  options.upstreams = to.flatMap((token) => readUpstreams(context, token, options.tls.servername));
  if (options.upstreams.length > UPSTREAMS_MAX) {
    context.fault(stanza.name, `at most ${UPSTREAMS_MAX} upstreams, ${options.upstreams.length} given`);
  }
  if (options.maxAgeMs > 0 && options.maxAgeMs < options.expireMs) {
    context.fault(stanza.name, 'max_age must not be shorter than expire');
  }
  return options;
}

type Readers = Record<string, (line: Line) => void>;

function choiceReaders(context: SetupContext, options: Mutable<ForwardOptions>): Readers {
  const rcodes = (line: Line): Rcode[] => {
    if (!expectArgs(context, line, 1, Infinity)) return [];
    return line.args.flatMap((token) => {
      const rcode = parseRcode(token.text);
      if (!rcode) context.fault(token, `"${token.text}" is not a response code`);
      if (rcode === 'NOERROR' && line.name.text === 'failover')
        context.fault(token, 'NOERROR is no reason to ask another upstream');
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
    max_connect_attempts: integer(context, 0, 1_000_000, (value) => (options.connectAttemptsMax = value)),
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
    expire: duration(context, (value) => (options.expireMs = value)),
    max_age: duration(context, (value) => (options.maxAgeMs = value)),
    read_timeout: (line) => {
      duration(context, (value) => (options.readTimeoutMs = value))(line);
      if (options.readTimeoutMs <= 0)
        context.fault(line.args[0]!, 'read_timeout must be longer than nothing');
    },
    doh_method: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      options.dohMethod = readWord(context, line.args[0]!, ['GET', 'POST']) ?? options.dohMethod;
    },
    resolver: (line) => {
      if (!expectArgs(context, line, 1, Infinity)) return;
      options.resolvers = line.args.flatMap((token) => readResolver(context, token) ?? []);
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

function duration(context: SetupContext, set: (valueMs: number) => void): (line: Line) => void {
  return (line) => {
    const value = expectArgs(context, line, 1, 1) ? readDurationMs(context, line.args[0]!) : undefined;
    if (value !== undefined) set(value);
  };
}

function readResolver(context: SetupContext, token: Token): Peer | undefined {
  const split = familyOf(token.text) ? { host: token.text, port: DNS_PORT } : splitHostPort(token.text);
  if (split && familyOf(split.host)) return { address: split.host, port: split.port };
  context.fault(token, `"${token.text}" is not an address such as 10.96.0.10 or 10.96.0.10:5353`);
  return undefined;
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
