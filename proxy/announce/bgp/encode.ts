import type { Cidr } from '../../../src/net/cidr.ts';
import { type Family, familyOf, parseAddress } from '../../../src/net/ip.ts';
import {
  AFI,
  AS_TRANS,
  ATTRIBUTE,
  type BgpMessage,
  type Capabilities,
  CAPABILITY,
  HEADER_BYTES,
  MARKER_BYTES,
  type OpenMessage,
  type PathAttributes,
  SAFI_UNICAST,
  TYPE,
  type UpdateMessage,
} from './message.ts';

const VERSION = 4;
const FLAG_OPTIONAL = 0x80;
const FLAG_TRANSITIVE = 0x40;
const FLAG_EXTENDED_LENGTH = 0x10;

/** The bytes of a message. `fourByteAs`: both sides have that capability (RFC 6793). */
export function encodeBgp(message: BgpMessage, options: { readonly fourByteAs: boolean }): Uint8Array {
  switch (message.type) {
    case 'open':
      return framed(TYPE.open, openBody(message));
    case 'update':
      return framed(TYPE.update, updateBody(message, options.fourByteAs));
    case 'notification':
      return framed(TYPE.notification, [message.code, message.subcode, ...message.data]);
    case 'route-refresh':
      return framed(TYPE.routeRefresh, [...u16(AFI[message.family ?? 'IPv4']), 0, SAFI_UNICAST]);
    case 'keepalive':
    default:
      return framed(TYPE.keepalive, []);
  }
}

function framed(type: number, body: readonly number[]): Uint8Array {
  const marker = new Uint8Array(MARKER_BYTES).fill(0xff);
  return Uint8Array.from([...marker, ...u16(HEADER_BYTES + body.length), type, ...body]);
}

function openBody(open: OpenMessage): readonly number[] {
  const shortAs = open.autonomousSystem > 0xffff ? AS_TRANS : open.autonomousSystem;
  const capabilities = capabilityBytes(open.capabilities, open.autonomousSystem);
  // one optional parameter of type 2 that holds them all (RFC 5492)
  const parameters = capabilities.length > 0 ? [2, capabilities.length, ...capabilities] : [];
  return [
    VERSION,
    ...u16(shortAs),
    ...u16(open.holdSeconds),
    ...addressBytes(open.routerId),
    parameters.length,
    ...parameters,
  ];
}

function capabilityBytes(
  { families, fourByteAs, routeRefresh, gracefulRestart }: Capabilities,
  autonomousSystem: number,
): readonly number[] {
  const list = families.flatMap((family) =>
    tlv(CAPABILITY.multiprotocol, [...u16(AFI[family]), 0, SAFI_UNICAST]),
  );
  if (routeRefresh) list.push(...tlv(CAPABILITY.routeRefresh, []));
  if (fourByteAs) list.push(...tlv(CAPABILITY.fourByteAs, u32(autonomousSystem)));
  if (gracefulRestart) {
    const { restarted, seconds, forwarding } = gracefulRestart;
    const flags = (restarted ? 0x8000 : 0) | (seconds & 0x0fff);
    const each = families.flatMap((family) => [
      ...u16(AFI[family]),
      SAFI_UNICAST,
      forwarding.includes(family) ? 0x80 : 0,
    ]);
    list.push(...tlv(CAPABILITY.gracefulRestart, [...u16(flags), ...each]));
  }
  return list;
}

function updateBody(update: UpdateMessage, fourByteAs: boolean): readonly number[] {
  const ofFamily = (prefixes: readonly Cidr[], family: Family): readonly number[] =>
    prefixes.filter((prefix) => prefix.family === family).flatMap(prefixBytes);
  const withdrawn = ofFamily(update.withdrawn, 'IPv4');
  const announced = ofFamily(update.announced, 'IPv4');
  const unreachable = ofFamily(update.withdrawn, 'IPv6');
  const reachable = ofFamily(update.announced, 'IPv6');
  const attributes: number[] = [];
  if (unreachable.length > 0 || update.endOf === 'IPv6')
    attributes.push(
      ...attribute(FLAG_OPTIONAL, ATTRIBUTE.unreach, [...u16(AFI.IPv6), SAFI_UNICAST, ...unreachable]),
    );
  if (update.path && announced.length + reachable.length > 0)
    attributes.push(...pathBytes(update.path, reachable, fourByteAs));
  return [...u16(withdrawn.length), ...withdrawn, ...u16(attributes.length), ...attributes, ...announced];
}

function pathBytes(
  path: PathAttributes,
  reachable: readonly number[],
  fourByteAs: boolean,
): readonly number[] {
  const { asPath, nextHop, localPreference, communities } = path;
  const hop = addressBytes(nextHop);
  const numbers = asPath.flatMap((as) => (fourByteAs ? u32(as) : u16(as > 0xffff ? AS_TRANS : as)));
  const sequence = asPath.length > 0 ? [2, asPath.length, ...numbers] : [];
  const bytes = [
    ...attribute(FLAG_TRANSITIVE, ATTRIBUTE.origin, [0]),
    ...attribute(FLAG_TRANSITIVE, ATTRIBUTE.asPath, sequence),
  ];
  if (familyOf(nextHop) === 'IPv4') bytes.push(...attribute(FLAG_TRANSITIVE, ATTRIBUTE.nextHop, hop));
  if (localPreference !== undefined)
    bytes.push(...attribute(FLAG_TRANSITIVE, ATTRIBUTE.localPreference, u32(localPreference)));
  if (communities.length > 0)
    bytes.push(
      ...attribute(
        FLAG_OPTIONAL | FLAG_TRANSITIVE,
        ATTRIBUTE.communities,
        communities.flatMap((text) => text.split(':').flatMap((part) => u16(Number(part)))),
      ),
    );
  if (reachable.length > 0)
    bytes.push(
      ...attribute(FLAG_OPTIONAL, ATTRIBUTE.reach, [
        ...u16(AFI.IPv6),
        SAFI_UNICAST,
        hop.length,
        ...hop,
        0,
        ...reachable,
      ]),
    );
  return bytes;
}

function attribute(flags: number, code: number, value: readonly number[]): readonly number[] {
  if (value.length > 0xff) return [flags | FLAG_EXTENDED_LENGTH, code, ...u16(value.length), ...value];
  return [flags, code, value.length, ...value];
}

/** Length in bits, then only the bytes that count. */
function prefixBytes({ network, prefixBits }: Cidr): readonly number[] {
  return [prefixBits, ...network.subarray(0, Math.ceil(prefixBits / 8))];
}

function addressBytes(address: string): readonly number[] {
  return [...(parseAddress(address) ?? [])];
}

function tlv(code: number, value: readonly number[]): readonly number[] {
  return [code, value.length, ...value];
}

function u16(value: number): readonly number[] {
  return [(value >> 8) & 0xff, value & 0xff];
}

function u32(value: number): readonly number[] {
  return [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}
