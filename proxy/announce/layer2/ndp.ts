import type { FilterStep } from '../../../src/net/packet-socket.ts';
import { formatAddress, parseAddress } from '../../../src/net/ip.ts';

/** Ethernet's number of IPv6. */
export const ETHER_TYPE_IPV6 = 0x86dd;
const ETHERNET_BYTES = 14;
const IPV6_BYTES = 40;
const ICMP_AT = ETHERNET_BYTES + IPV6_BYTES;
const MESSAGE_BYTES_MIN = 24;
const PROTOCOL_ICMPV6 = 58;
/** Neighbour discovery is only believed with this hop limit (RFC 4861 section 7.1). */
const HOP_LIMIT = 255;
/** ICMPv6 types of neighbour discovery (RFC 4861 section 4). */
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const OPTION_SOURCE_LINK_LAYER = 1;
const OPTION_TARGET_LINK_LAYER = 2;
const FLAG_SOLICITED = 0x4000_0000;
const FLAG_OVERRIDE = 0x2000_0000;

const ALL_NODES = 'ff02::1';

const [LOAD_BYTE, JUMP_IF_EQUAL, RETURN] = [0x30, 0x15, 0x06];
/** Lets solicitations and advertisements through, nothing else. */
export const NEIGHBOR_FILTER: readonly FilterStep[] = [
  { code: LOAD_BYTE, ifTrue: 0, ifFalse: 0, value: ETHERNET_BYTES + 6 },
  { code: JUMP_IF_EQUAL, ifTrue: 0, ifFalse: 4, value: PROTOCOL_ICMPV6 },
  { code: LOAD_BYTE, ifTrue: 0, ifFalse: 0, value: ICMP_AT },
  { code: JUMP_IF_EQUAL, ifTrue: 1, ifFalse: 0, value: SOLICITATION },
  { code: JUMP_IF_EQUAL, ifTrue: 0, ifFalse: 1, value: ADVERTISEMENT },
  { code: RETURN, ifTrue: 0, ifFalse: 0, value: 0xffff_ffff },
  { code: RETURN, ifTrue: 0, ifFalse: 0, value: 0 },
];

export interface NeighborMessage {
  readonly kind: 'solicitation' | 'advertisement';
  readonly source: string;
  readonly destination: string;
  readonly target: string;
  /** Hardware address of who asks (solicitation) or who has the target (advertisement), when told. */
  readonly mac: Uint8Array | undefined;
  readonly solicited: boolean;
  readonly override: boolean;
}

/** A frame with a valid message of neighbour discovery (RFC 4861 section 7.1), or why it is none. */
export function decodeNeighbor(
  frame: Uint8Array,
): { readonly neighbor: NeighborMessage } | { readonly fault: string } {
  if (frame.length < ICMP_AT + MESSAGE_BYTES_MIN) return { fault: 'too short' };
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) !== ETHER_TYPE_IPV6 || frame[20] !== PROTOCOL_ICMPV6) return { fault: 'not ICMPv6' };
  if (frame[21] !== HOP_LIMIT) return { fault: 'from beyond the link' };
  const end = ICMP_AT + view.getUint16(18);
  if (end > frame.length || end < ICMP_AT + MESSAGE_BYTES_MIN) return { fault: 'cut' };
  const message = frame.subarray(ICMP_AT, end);
  if (message[0] !== SOLICITATION && message[0] !== ADVERTISEMENT) return { fault: `type ${message[0]}` };
  if (message[1] !== 0) return { fault: `code ${message[1]}` };
  if (checksum(frame.subarray(22, 54), message) !== 0) return { fault: 'checksum' };
  const kind = message[0] === SOLICITATION ? 'solicitation' : 'advertisement';
  const flags = kind === 'advertisement' ? view.getUint32(ICMP_AT + 4) : 0;
  const option = linkLayerOption(message, optionOf(kind));
  if ('fault' in option) return option;
  return {
    neighbor: {
      kind,
      source: formatAddress(frame.subarray(22, 38)),
      destination: formatAddress(frame.subarray(38, 54)),
      target: formatAddress(message.subarray(8, 24)),
      mac: option.mac,
      solicited: (flags & FLAG_SOLICITED) !== 0,
      override: (flags & FLAG_OVERRIDE) !== 0,
    },
  };
}

function optionOf(kind: NeighborMessage['kind']): number {
  return kind === 'solicitation' ? OPTION_SOURCE_LINK_LAYER : OPTION_TARGET_LINK_LAYER;
}

function linkLayerOption(
  message: Uint8Array,
  wanted: number,
): { readonly mac: Uint8Array | undefined } | { readonly fault: string } {
  let mac: Uint8Array | undefined;
  for (let at = MESSAGE_BYTES_MIN; at < message.length;) {
    const sizeBytes = (message[at + 1] ?? 0) * 8;
    // RFC 4861 section 4.6: a zero length makes the whole message invalid
    if (sizeBytes === 0 || at + sizeBytes > message.length) return { fault: 'bad option' };
    if (message[at] === wanted && sizeBytes === 8) mac = message.slice(at + 2, at + 8);
    at += sizeBytes;
  }
  return { mac };
}

/** A frame from one hardware address to another. */
export function encodeNeighbor(neighbor: NeighborMessage, from: Uint8Array, to: Uint8Array): Uint8Array {
  const { kind, source, destination, target, mac, solicited, override } = neighbor;
  const messageBytes = MESSAGE_BYTES_MIN + (mac ? 8 : 0);
  const frame = new Uint8Array(ICMP_AT + messageBytes);
  const view = new DataView(frame.buffer);
  frame.set(to, 0);
  frame.set(from, 6);
  view.setUint16(12, ETHER_TYPE_IPV6);
  view.setUint32(14, 6 << 28);
  view.setUint16(18, messageBytes);
  frame.set([PROTOCOL_ICMPV6, HOP_LIMIT], 20);
  frame.set(parseAddress(source) ?? [], 22);
  frame.set(parseAddress(destination) ?? [], 38);
  const message = frame.subarray(ICMP_AT);
  message[0] = kind === 'solicitation' ? SOLICITATION : ADVERTISEMENT;
  const flags = (solicited ? FLAG_SOLICITED : 0) | (override ? FLAG_OVERRIDE : 0);
  if (kind === 'advertisement') view.setUint32(ICMP_AT + 4, flags);
  message.set(parseAddress(target) ?? [], 8);
  if (mac) message.set([optionOf(kind), 1, ...mac], MESSAGE_BYTES_MIN);
  view.setUint16(ICMP_AT + 2, checksum(frame.subarray(22, 54), message));
  return frame;
}

/** Of the pseudo header and the message (RFC 8200 section 8.1); 0 over a message whose checksum is right. */
function checksum(addresses: Uint8Array, message: Uint8Array): number {
  let sum = message.length + PROTOCOL_ICMPV6;
  for (const part of [addresses, message])
    for (let i = 0; i < part.length; i += 2) sum += ((part[i] ?? 0) << 8) | (part[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Tells everybody on the link who has an address now (RFC 4861 section 7.2.6). */
export function unsolicitedAdvertisement(address: string, mac: Uint8Array): Uint8Array {
  const neighbor = {
    kind: 'advertisement',
    source: address,
    destination: ALL_NODES,
    target: address,
    mac,
    solicited: false,
    override: true,
  } as const;
  return encodeNeighbor(neighbor, mac, multicastMac(ALL_NODES));
}

/** The answer to a solicitation for an address of ours. Somebody who has no address yet is told with all others. */
export function neighborReply(asked: NeighborMessage, to: Uint8Array, mac: Uint8Array): Uint8Array {
  if (asked.source === '::') return unsolicitedAdvertisement(asked.target, mac);
  const neighbor = {
    kind: 'advertisement',
    source: asked.target,
    destination: asked.source,
    target: asked.target,
    mac,
    solicited: true,
    override: true,
  } as const;
  return encodeNeighbor(neighbor, mac, asked.mac ?? to);
}

/** The group in which solicitations for an address are sent (RFC 4291 section 2.7.1). */
export function solicitedNodeGroup(address: string): string {
  const bytes = parseAddress(address) ?? new Uint8Array(16);
  return formatAddress(Uint8Array.from([0xff, 2, ...new Uint8Array(9), 1, 0xff, ...bytes.subarray(13)]));
}

/** The hardware address of a group (RFC 2464 section 7). */
export function multicastMac(group: string): Uint8Array {
  const bytes = parseAddress(group) ?? new Uint8Array(16);
  return Uint8Array.from([0x33, 0x33, ...bytes.subarray(12)]);
}
