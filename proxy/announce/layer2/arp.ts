import { formatAddress, parseAddress } from '../../../src/net/ip.ts';

/** Ethernet's number of ARP. */
export const ETHER_TYPE_ARP = 0x0806;
const ETHER_TYPE_IPV4 = 0x0800;
const HARDWARE_ETHERNET = 1;
const HEADER_BYTES = 14;
const ARP_BYTES = 28;
/** Shorter frames are padded on the wire (IEEE 802.3 clause 4: 64 bytes less the checksum). */
const FRAME_BYTES_MIN = 60;

export const BROADCAST = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
const NOBODY = new Uint8Array(6);

export interface ArpMessage {
  readonly operation: 'request' | 'reply';
  readonly senderMac: Uint8Array;
  readonly senderIP: string;
  readonly targetMac: Uint8Array;
  readonly targetIP: string;
}

/** An ARP message over IPv4 and Ethernet (RFC 826), or why the frame is none. Copies what it keeps. */
export function decodeArp(frame: Uint8Array): { readonly arp: ArpMessage } | { readonly fault: string } {
  if (frame.length < HEADER_BYTES + ARP_BYTES) return { fault: 'too short' };
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) !== ETHER_TYPE_ARP) return { fault: 'not ARP' };
  const kinds = [view.getUint16(14), view.getUint16(16), frame[18], frame[19]];
  if (kinds.join() !== [HARDWARE_ETHERNET, ETHER_TYPE_IPV4, 6, 4].join())
    return { fault: 'not IPv4 over Ethernet' };
  const operation = view.getUint16(20);
  if (operation !== 1 && operation !== 2) return { fault: `operation ${operation}` };
  return {
    arp: {
      operation: operation === 1 ? 'request' : 'reply',
      senderMac: frame.slice(22, 28),
      senderIP: formatAddress(frame.subarray(28, 32)),
      targetMac: frame.slice(32, 38),
      targetIP: formatAddress(frame.subarray(38, 42)),
    },
  };
}

/** A frame from the sender's hardware address to `to`. */
export function encodeArp(arp: ArpMessage, to: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_BYTES_MIN);
  const view = new DataView(frame.buffer);
  frame.set(to, 0);
  frame.set(arp.senderMac, 6);
  view.setUint16(12, ETHER_TYPE_ARP);
  view.setUint16(14, HARDWARE_ETHERNET);
  view.setUint16(16, ETHER_TYPE_IPV4);
  frame.set([6, 4], 18);
  view.setUint16(20, arp.operation === 'request' ? 1 : 2);
  frame.set(arp.senderMac, 22);
  frame.set(parseAddress(arp.senderIP) ?? [], 28);
  frame.set(arp.targetMac, 32);
  frame.set(parseAddress(arp.targetIP) ?? [], 38);
  return frame;
}

/** Tells everybody who has an address now, in both forms that hosts heed (RFC 5227 section 3). */
export function gratuitousArps(address: string, mac: Uint8Array): readonly Uint8Array[] {
  const own = { senderMac: mac, senderIP: address, targetIP: address };
  return [
    encodeArp({ operation: 'request', ...own, targetMac: NOBODY }, BROADCAST),
    encodeArp({ operation: 'reply', ...own, targetMac: BROADCAST }, BROADCAST),
  ];
}

/** The answer to a request for an address of ours. */
export function arpReply(request: ArpMessage, mac: Uint8Array): Uint8Array {
  const reply = {
    operation: 'reply',
    senderMac: mac,
    senderIP: request.targetIP,
    targetMac: request.senderMac,
    targetIP: request.senderIP,
  } as const;
  return encodeArp(reply, request.senderMac);
}
