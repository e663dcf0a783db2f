import type { Clock } from '../../../src/base/clock.ts';
import { messageOf } from '../../../src/base/fault.ts';
import type { Logger } from '../../../src/base/log.ts';
import { familyOf } from '../../../src/net/ip.ts';
import type { PacketSocket, PacketSocketOptions } from '../../../src/net/packet-socket.ts';
import { ANNOUNCE_INTERVAL_MS, ANNOUNCE_REPEATS } from '../limits.ts';
import { arpReply, decodeArp, ETHER_TYPE_ARP, gratuitousArps } from './arp.ts';
import {
  decodeNeighbor,
  ETHER_TYPE_IPV6,
  multicastMac,
  NEIGHBOR_FILTER,
  neighborReply,
  solicitedNodeGroup,
  unsolicitedAdvertisement,
} from './ndp.ts';

export interface LinkAnnouncerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly openSocket: (options: PacketSocketOptions, onFrame: (frame: Uint8Array) => void) => PacketSocket;
  /** Somebody else on the link says that a claimed address is theirs. */
  readonly onContested: (address: string) => void;
  /** Counts answers to ARP and neighbour solicitations. */
  readonly onAnswer?: (protocol: 'arp' | 'ndp') => void;
}

export interface LinkAnnouncerOptions {
  readonly interface: string;
  /** Our hardware address on it. */
  readonly mac: Uint8Array;
}

/**
 * Holds addresses on one link without giving them to the interface: answers ARP and neighbour discovery for them, and
 * tells the link when one is taken over. Sockets are open only while there is an address of their family.
 */
export class LinkAnnouncer implements Disposable {
  readonly #deps: LinkAnnouncerDeps;
  readonly #options: LinkAnnouncerOptions;
  readonly #timers = new Map<string, Disposable | undefined>();
  #arp: PacketSocket | undefined;
  #ndp: PacketSocket | undefined;

  constructor(deps: LinkAnnouncerDeps, options: LinkAnnouncerOptions) {
    this.#deps = { ...deps, log: deps.log.with({ part: 'announce', interface: options.interface }) };
    this.#options = options;
  }

  /** Addresses answered for now. */
  get addresses(): readonly string[] {
    return [...this.#timers.keys()];
  }

  /** Answers for the address from now on and tells the link, some times over. Throws when no socket can be had. */
  claim(address: string): void {
    const isNew = !this.#timers.has(address);
    const socket = this.#socketFor(address);
    if (isNew && familyOf(address) === 'IPv6') socket.join(multicastMac(solicitedNodeGroup(address)));
    this.#timers.get(address)?.[Symbol.dispose]();
    this.#timers.set(address, undefined);
    this.#tell(address, ANNOUNCE_REPEATS);
  }

  /** Answers no more; nothing is said, so that the next holder's word is the last. */
  release(address: string): void {
    if (!this.#timers.has(address)) return;
    this.#timers.get(address)?.[Symbol.dispose]();
    this.#timers.delete(address);
    if (familyOf(address) === 'IPv6') this.#leave(address);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers.values()) timer?.[Symbol.dispose]();
    this.#timers.clear();
    this.#arp?.[Symbol.dispose]();
    this.#ndp?.[Symbol.dispose]();
  }

  /** Addresses may share a group: it is left with the last one. */
  #leave(address: string): void {
    const group = solicitedNodeGroup(address);
    const shared = [...this.#timers.keys()].some(
      (other) => familyOf(other) === 'IPv6' && solicitedNodeGroup(other) === group,
    );
    if (!shared) this.#try(() => this.#ndp?.leave(multicastMac(group)));
  }

  #tell(address: string, times: number): void {
    const { mac } = this.#options;
    const isIPv4 = familyOf(address) === 'IPv4';
    const frames = isIPv4 ? gratuitousArps(address, mac) : [unsolicitedAdvertisement(address, mac)];
    const socket = isIPv4 ? this.#arp : this.#ndp;
    for (const frame of frames) this.#try(() => socket?.send(frame));
    if (times <= 1) return;
    const again = (): void => this.#tell(address, times - 1);
    this.#timers.set(address, this.#deps.clock.setTimer(ANNOUNCE_INTERVAL_MS, again));
  }

  #socketFor(address: string): PacketSocket {
    const { openSocket } = this.#deps;
    const link = this.#options.interface;
    if (familyOf(address) === 'IPv4')
      return (this.#arp ??= openSocket({ interface: link, etherType: ETHER_TYPE_ARP }, (frame) =>
        this.#onArp(frame),
      ));
    const options = { interface: link, etherType: ETHER_TYPE_IPV6, filter: NEIGHBOR_FILTER };
    return (this.#ndp ??= openSocket(options, (frame) => this.#onNeighbor(frame)));
  }

  #onArp(frame: Uint8Array): void {
    const decoded = decodeArp(frame);
    if ('fault' in decoded) return; // not for us; the kernel counts what is malformed
    const { arp } = decoded;
    if (this.#isContested(arp.senderIP, arp.senderMac)) return;
    if (arp.operation !== 'request' || !this.#timers.has(arp.targetIP)) return;
    this.#deps.onAnswer?.('arp');
    this.#try(() => this.#arp?.send(arpReply(arp, this.#options.mac)));
  }

  #onNeighbor(frame: Uint8Array): void {
    const decoded = decodeNeighbor(frame);
    if ('fault' in decoded) return;
    const { neighbor } = decoded;
    if (!this.#timers.has(neighbor.target)) return;
    if (neighbor.kind === 'advertisement') {
      this.#isContested(neighbor.target, neighbor.mac ?? frame.slice(6, 12));
      return;
    }
    const asker = frame.slice(6, 12);
    if (sameMac(asker, this.#options.mac)) return;
    this.#deps.onAnswer?.('ndp');
    this.#try(() => this.#ndp?.send(neighborReply(neighbor, asker, this.#options.mac)));
  }

  #isContested(address: string, mac: Uint8Array): boolean {
    if (!this.#timers.has(address) || sameMac(mac, this.#options.mac)) return false;
    this.#deps.onContested(address);
    return true;
  }

  /** A link that is down takes no frame; the next one may. */
  #try(send: () => void): void {
    try {
      send();
    } catch (error) {
      this.#deps.log.warn('frame not sent', { reason: messageOf(error) });
    }
  }
}

function sameMac(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}
