import { type Command, InvalidArgumentError } from 'commander';
import type { BgpPeer } from '../../../proxy/announce/bgp/session.ts';
import { BGP_HOLD_SECONDS, BGP_RESTART_SECONDS } from '../../../proxy/announce/limits.ts';
import { type Family, familyOf, splitHostPort } from '../../net/ip.ts';
import type { AnnounceOptions } from '../../node/proxy/announce-part.ts';
import { EXIT_USAGE, ExitError } from '../context.ts';
import { cidrFlag, repeated } from '../flags.ts';

export interface AnnounceFlags {
  readonly announceInterface?: readonly string[];
  readonly announceRange?: readonly string[];
  readonly bgpAs?: number;
  readonly bgpPeer?: readonly BgpPeer[];
  readonly bgpRouterId?: string;
  readonly bgpNextHop?: readonly string[];
  readonly bgpCommunity?: readonly string[];
  readonly bgpHoldSeconds: number;
}

const BGP_PORT = 179;
const AS_MAX = 2 ** 32 - 1;

export function addAnnounceFlags(command: Command): Command {
  return command
    .option(
      '--announce-interface <name>',
      'answer ARP and NDP for LoadBalancer addresses here (repeatable)',
      repeated,
    )
    .option('--announce-range <cidr>', 'announce only addresses in this range (repeatable)', eachCidr)
    .option('--bgp-as <number>', 'our autonomous system', asFlag)
    .option('--bgp-peer <as@address[:port]>', 'tell this BGP peer of LoadBalancer addresses', eachPeer)
    .option('--bgp-router-id <address>', 'default: the IPv4 address of --node-ip', routerIdFlag)
    .option('--bgp-next-hop <address>', 'what peers send to; default: our end of the session', eachAddress)
    .option('--bgp-community <as:value>', 'added to each route (repeatable)', eachCommunity)
    .option('--bgp-hold-seconds <n>', 'silence that ends a session', holdFlag, BGP_HOLD_SECONDS);
}

/** Undefined when nothing is to be announced. */
export function announceOptions(
  flags: AnnounceFlags,
  host: { readonly nodeName: string; readonly nodeIP: string; readonly keepsForwarding: boolean },
): AnnounceOptions | undefined {
  const { announceInterface: interfaces = [], announceRange: ranges = [], bgpPeer: peers = [] } = flags;
  if (interfaces.length === 0 && peers.length === 0) return undefined;
  return { nodeName: host.nodeName, ranges, interfaces, bgp: bgpOptions(flags, host) };
}

function bgpOptions(
  {
    bgpPeer: peers = [],
    bgpAs,
    bgpRouterId,
    bgpNextHop = [],
    bgpCommunity = [],
    bgpHoldSeconds,
  }: AnnounceFlags,
  { nodeIP, keepsForwarding }: { readonly nodeIP: string; readonly keepsForwarding: boolean },
): AnnounceOptions['bgp'] {
  if (peers.length === 0) return undefined;
  if (bgpAs === undefined) throw new ExitError(EXIT_USAGE, '--bgp-peer needs --bgp-as');
  const routerId = bgpRouterId ?? (familyOf(nodeIP) === 'IPv4' ? nodeIP : undefined);
  if (routerId === undefined)
    throw new ExitError(EXIT_USAGE, 'a node without an IPv4 address needs --bgp-router-id');
  const hop = (family: Family): string | undefined => bgpNextHop.find((each) => familyOf(each) === family);
  const [ipv4, ipv6] = [hop('IPv4'), hop('IPv6')];
  return {
    autonomousSystem: bgpAs,
    routerId,
    peers,
    holdSeconds: bgpHoldSeconds,
    restartSeconds: BGP_RESTART_SECONDS,
    keepsForwarding,
    nextHops: { ...(ipv4 !== undefined && { IPv4: ipv4 }), ...(ipv6 !== undefined && { IPv6: ipv6 }) },
    communities: bgpCommunity,
  };
}

function eachCidr(text: string, previous?: readonly string[]): readonly string[] {
  return repeated(cidrFlag(text), previous);
}

function eachPeer(text: string, previous: readonly BgpPeer[] = []): readonly BgpPeer[] {
  if (/password|md5/i.test(text))
    throw new InvalidArgumentError(
      'TCP MD5 signatures (RFC 2385) are not supported: protect the session by filters or on a link of its own.',
    );
  const at = text.indexOf('@');
  const where = text.slice(at + 1);
  const bare = familyOf(where.replace(/^\[(.*)\]$/, '$1')) && {
    host: where.replace(/^\[(.*)\]$/, '$1'),
    port: BGP_PORT,
  };
  const found = bare || splitHostPort(where);
  if (at < 1 || !found || !familyOf(found.host) || found.port === 0)
    throw new InvalidArgumentError('Use AS@ADDRESS or AS@ADDRESS:PORT, for example 64512@192.0.2.1.');
  const peer = { autonomousSystem: asFlag(text.slice(0, at)), address: found.host, port: found.port };
  return [...previous, peer];
}

function asFlag(text: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > AS_MAX)
    throw new InvalidArgumentError('Use an autonomous system from 1 to 4294967295.');
  return value;
}

function routerIdFlag(text: string): string {
  if (familyOf(text) !== 'IPv4' || text === '0.0.0.0') throw new InvalidArgumentError('Use an IPv4 address.');
  return text;
}

function eachAddress(text: string, previous?: readonly string[]): readonly string[] {
  if (!familyOf(text)) throw new InvalidArgumentError('Use an IP address.');
  return repeated(text, previous);
}

function eachCommunity(text: string, previous?: readonly string[]): readonly string[] {
  const parts = text.split(':').map(Number);
  const isValid = /^\d{1,5}:\d{1,5}$/.test(text) && parts.every((part) => part <= 65_535);
  if (!isValid) throw new InvalidArgumentError('Use AS:VALUE, for example 64512:100.');
  return repeated(text, previous);
}

function holdFlag(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (value !== 0 && (value < 3 || value > 65_535))
    throw new InvalidArgumentError('Use 0 (never) or 3 to 65535.');
  return value;
}
