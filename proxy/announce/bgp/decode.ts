import type { Cidr } from '../../../src/net/cidr.ts';
import { type Family, formatAddress } from '../../../src/net/ip.ts';
import { BGP_MESSAGE_BYTES_MAX } from '../limits.ts';
import { ByteReader } from './byte-reader.ts';
import {
  AFI,
  ATTRIBUTE,
  type BgpMessage,
  type Capabilities,
  CAPABILITY,
  ERROR,
  type GracefulRestart,
  HEADER_BYTES,
  MARKER_BYTES,
  type PathAttributes,
  SAFI_UNICAST,
  TYPE,
  type UpdateMessage,
} from './message.ts';

/** What is wrong with a message, as the NOTIFICATION that answers it. */
export interface BgpFault {
  readonly code: number;
  readonly subcode: number;
  readonly reason: string;
}

export type Decoded<T> = { readonly value: T } | { readonly fault: BgpFault };

const FLAG_EXTENDED_LENGTH = 0x10;
const VERSION = 4;
const HOLD_SECONDS_MIN = 3;

/**
 * The length of the message that begins the bytes, checked with its header (RFC 4271 section 6.1); undefined while too
 * few have come to know it.
 */
export function messageLength(bytes: Uint8Array): Decoded<number> | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  for (let i = 0; i < MARKER_BYTES; i++)
    if (bytes[i] !== 0xff) return fault(ERROR.header, 1, 'the marker is not all ones');
  const sizeBytes = (bytes[16] ?? 0) * 256 + (bytes[17] ?? 0);
  if (sizeBytes < HEADER_BYTES || sizeBytes > BGP_MESSAGE_BYTES_MAX)
    return fault(ERROR.header, 2, `a message of ${sizeBytes} bytes`);
  return { value: sizeBytes };
}

/** One whole message with its header. */
export function decodeBgp(bytes: Uint8Array, options: { readonly fourByteAs: boolean }): Decoded<BgpMessage> {
  const length = messageLength(bytes);
  if (!length) return fault(ERROR.header, 2, 'cut');
  if ('fault' in length) return length;
  if (length.value !== bytes.length) return fault(ERROR.header, 2, 'length and bytes differ');
  const reader = new ByteReader(bytes.subarray(HEADER_BYTES));
  const type = bytes[18] ?? 0;
  switch (type) {
    case TYPE.open:
      return decodeOpen(reader);
    case TYPE.update:
      return decodeUpdate(reader, options.fourByteAs);
    case TYPE.notification: {
      const [code, subcode] = [reader.u8(), reader.u8()];
      if (reader.overrun) return fault(ERROR.header, 2, 'a short NOTIFICATION');
      return { value: { type: 'notification', code, subcode, data: reader.bytes(reader.left).slice() } };
    }
    case TYPE.keepalive:
      if (reader.left > 0) return fault(ERROR.header, 2, 'a long KEEPALIVE');
      return { value: { type: 'keepalive' } };
    case TYPE.routeRefresh: {
      const family = familyBy(reader.u16());
      reader.u8();
      const safi = reader.u8();
      return { value: { type: 'route-refresh', family: safi === SAFI_UNICAST ? family : undefined } };
    }
    default:
      return fault(ERROR.header, 3, `message type ${type}`);
  }
}

function decodeOpen(reader: ByteReader): Decoded<BgpMessage> {
  const version = reader.u8();
  const shortAs = reader.u16();
  const holdSeconds = reader.u16();
  const id = reader.bytes(4);
  const parameters = new ByteReader(reader.bytes(reader.u8()));
  if (reader.overrun) return fault(ERROR.header, 2, 'a short OPEN');
  if (version !== VERSION) return fault(ERROR.open, 1, `version ${version}`);
  if (holdSeconds > 0 && holdSeconds < HOLD_SECONDS_MIN)
    return fault(ERROR.open, 6, `a hold time of ${holdSeconds} s`);
  if (id.every((byte) => byte === 0)) return fault(ERROR.open, 3, 'the router id is 0');
  const found = readCapabilities(parameters);
  if ('fault' in found) return found;
  const { longAs, capabilities } = found.value;
  const autonomousSystem = longAs ?? shortAs;
  if (autonomousSystem === 0) return fault(ERROR.open, 2, 'autonomous system 0');
  return {
    value: { type: 'open', autonomousSystem, holdSeconds, routerId: formatAddress(id), capabilities },
  };
}

function readCapabilities(
  parameters: ByteReader,
): Decoded<{ readonly longAs: number | undefined; readonly capabilities: Capabilities }> {
  const families: Family[] = [];
  let longAs: number | undefined;
  let routeRefresh = false;
  let gracefulRestart: GracefulRestart | undefined;
  let said = false;
  while (parameters.left > 0) {
    const type = parameters.u8();
    const value = new ByteReader(parameters.bytes(parameters.u8()));
    if (parameters.overrun) return fault(ERROR.open, 0, 'a short parameter');
    if (type !== 2) return fault(ERROR.open, 4, `optional parameter ${type}`);
    while (value.left > 0) {
      const code = value.u8();
      const body = new ByteReader(value.bytes(value.u8()));
      if (value.overrun) return fault(ERROR.open, 0, 'a short capability');
      if (code === CAPABILITY.multiprotocol) {
        said = true;
        const family = familyBy(body.u16());
        body.u8();
        if (body.u8() === SAFI_UNICAST && family && !families.includes(family)) families.push(family);
      } else if (code === CAPABILITY.fourByteAs) longAs = body.u32();
      else if (code === CAPABILITY.routeRefresh) routeRefresh = true;
      else if (code === CAPABILITY.gracefulRestart) gracefulRestart = readRestart(body);
      if (body.overrun) return fault(ERROR.open, 0, `capability ${code} is too short`);
    }
  }
  // who names no family speaks IPv4 (RFC 4760 section 8)
  if (!said) families.push('IPv4');
  const fourByteAs = longAs !== undefined;
  return { value: { longAs, capabilities: { families, fourByteAs, routeRefresh, gracefulRestart } } };
}

function readRestart(body: ByteReader): GracefulRestart {
  const flags = body.u16();
  const forwarding: Family[] = [];
  while (body.left > 0) {
    const family = familyBy(body.u16());
    const safi = body.u8();
    const keeps = (body.u8() & 0x80) !== 0;
    if (family && safi === SAFI_UNICAST && keeps && !forwarding.includes(family)) forwarding.push(family);
  }
  return { restarted: (flags & 0x8000) !== 0, seconds: flags & 0x0fff, forwarding };
}

interface Attributes {
  asPath: readonly number[] | undefined;
  nextHop: string | undefined;
  localPreference: number | undefined;
  communities: readonly string[];
  announced: readonly Cidr[];
  withdrawn: readonly Cidr[];
  endOf: Family | undefined;
}

function decodeUpdate(reader: ByteReader, fourByteAs: boolean): Decoded<UpdateMessage> {
  const withdrawnBytes = new ByteReader(reader.bytes(reader.u16()));
  const attributeBytes = new ByteReader(reader.bytes(reader.u16()));
  if (reader.overrun) return fault(ERROR.update, 1, 'lengths do not add up');
  const isEmpty = withdrawnBytes.left + attributeBytes.left + reader.left === 0;
  const withdrawn = readPrefixes(withdrawnBytes, 'IPv4');
  const announced = readPrefixes(reader, 'IPv4');
  if (!withdrawn || !announced) return fault(ERROR.update, 10, 'a prefix is not valid');
  const found: Attributes = {
    asPath: undefined,
    nextHop: undefined,
    localPreference: undefined,
    communities: [],
    announced: [],
    withdrawn: [],
    endOf: isEmpty ? 'IPv4' : undefined,
  };
  while (attributeBytes.left > 0) {
    const wrong = readAttribute(attributeBytes, found, fourByteAs);
    if (wrong) return { fault: wrong };
  }
  const all = [...announced, ...found.announced];
  const path = pathOf(found);
  if (all.length > 0 && !path) return fault(ERROR.update, 3, 'a mandatory attribute is missing');
  return {
    value: {
      type: 'update',
      withdrawn: [...withdrawn, ...found.withdrawn],
      announced: all,
      path: all.length > 0 ? path : undefined,
      endOf: found.endOf,
    },
  };
}

function pathOf({ asPath, nextHop, localPreference, communities }: Attributes): PathAttributes | undefined {
  return asPath && nextHop !== undefined ? { asPath, nextHop, localPreference, communities } : undefined;
}

function readAttribute(attributes: ByteReader, found: Attributes, fourByteAs: boolean): BgpFault | undefined {
  const flags = attributes.u8();
  const code = attributes.u8();
  const sizeBytes = flags & FLAG_EXTENDED_LENGTH ? attributes.u16() : attributes.u8();
  const body = new ByteReader(attributes.bytes(sizeBytes));
  const tooShort = { code: ERROR.update, subcode: 5, reason: `attribute ${code} has a wrong length` };
  if (attributes.overrun) return tooShort;
  if (code === ATTRIBUTE.asPath) found.asPath = readAsPath(body, fourByteAs);
  else if (code === ATTRIBUTE.nextHop) {
    if (body.left !== 4) return tooShort;
    found.nextHop = formatAddress(body.bytes(4));
  } else if (code === ATTRIBUTE.localPreference) found.localPreference = body.u32();
  else if (code === ATTRIBUTE.communities) {
    const communities: string[] = [];
    while (body.left >= 4) communities.push(`${body.u16()}:${body.u16()}`);
    if (body.left > 0) return tooShort;
    found.communities = communities;
  } else if (code === ATTRIBUTE.reach || code === ATTRIBUTE.unreach) {
    const wrong = readMultiprotocol(body, found, code === ATTRIBUTE.reach);
    if (wrong !== undefined) return { code: ERROR.update, subcode: 9, reason: wrong };
  }
  return body.overrun ? tooShort : undefined;
}

/** Sequences and sets in order; a set counts by its members here, for we only look for ourselves. */
function readAsPath(body: ByteReader, fourByteAs: boolean): readonly number[] {
  const path: number[] = [];
  while (body.left > 0) {
    body.u8();
    for (let count = body.u8(); count > 0 && !body.overrun; count--)
      path.push(fourByteAs ? body.u32() : body.u16());
  }
  return path;
}

/** RFC 4760 sections 3 and 4; families that we do not speak are passed over. */
function readMultiprotocol(body: ByteReader, found: Attributes, isReach: boolean): string | undefined {
  const family = familyBy(body.u16());
  const isUnicast = body.u8() === SAFI_UNICAST;
  if (isReach) {
    const hop = body.bytes(body.u8());
    body.u8();
    if (body.overrun) return 'short';
    // a link-local address may follow the global one (RFC 2545)
    if (family === 'IPv6' && (hop.length === 16 || hop.length === 32))
      found.nextHop = formatAddress(hop.subarray(0, 16));
    else if (family === 'IPv4' && hop.length === 4) found.nextHop = formatAddress(hop);
    else if (family) return `a next hop of ${hop.length} bytes`;
  }
  if (!family || !isUnicast) return void body.bytes(body.left);
  if (!isReach && body.left === 0) found.endOf = family;
  const prefixes = readPrefixes(body, family);
  if (!prefixes) return 'a prefix is not valid';
  if (isReach) found.announced = [...found.announced, ...prefixes];
  else found.withdrawn = [...found.withdrawn, ...prefixes];
  return undefined;
}

function readPrefixes(reader: ByteReader, family: Family): readonly Cidr[] | undefined {
  const addressBytes = family === 'IPv4' ? 4 : 16;
  const prefixes: Cidr[] = [];
  while (reader.left > 0) {
    const prefixBits = reader.u8();
    if (prefixBits > addressBytes * 8) return undefined;
    const network = new Uint8Array(addressBytes);
    network.set(reader.bytes(Math.ceil(prefixBits / 8)));
    if (reader.overrun) return undefined;
    clearHostBits(network, prefixBits);
    prefixes.push({ family, network, prefixBits });
  }
  return prefixes;
}

/** Bits behind the prefix mean nothing (RFC 4271 section 4.3). */
function clearHostBits(network: Uint8Array, prefixBits: number): void {
  const at = prefixBits >> 3;
  const last = network[at];
  if (last !== undefined) network[at] = last & (0xff << (8 - (prefixBits & 7)));
}

function familyBy(afi: number): Family | undefined {
  return afi === AFI.IPv4 ? 'IPv4' : afi === AFI.IPv6 ? 'IPv6' : undefined;
}

function fault(code: number, subcode: number, reason: string): { readonly fault: BgpFault } {
  return { fault: { code, subcode, reason } };
}
