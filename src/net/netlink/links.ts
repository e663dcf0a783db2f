import { Fault, hasCode } from '../../base/fault.ts';
import { type Family, formatAddress, parseAddress } from '../ip.ts';
import { attributesOf, MessageWriter, NLM_F } from './message.ts';
import { sendEach } from './send-each.ts';
import type { NetlinkSocket } from './socket.ts';

/** linux/rtnetlink.h, if_link.h and if_addr.h. */
const RTM = { NEWLINK: 16, DELLINK: 17, GETLINK: 18, NEWADDR: 20, DELADDR: 21, GETADDR: 22 } as const;
const LINK = { NAME: 3, INFO: 18, AF_SPEC: 26 } as const;
const INFO_KIND = 1;
const ADDR_GEN_MODE = { TYPE: 8, NONE: 1 } as const;
const ADDRESS = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
/** No duplicate address detection: the address serves at once. */
const IFA_F_NODAD = 0x2;
const IFF_UP = 0x1;
const AF: Readonly<Record<Family, number>> = { IPv4: 2, IPv6: 10 };
/** struct ifinfomsg and struct ifaddrmsg. */
const LINK_BYTES = 16;
const ADDRESS_BYTES = 8;

/** Network devices and their addresses, by rtnetlink. Faults are those of NetlinkSocket.request, named by the address. */
export class Links implements Disposable {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** The index of a device; undefined when there is none of this name. */
  async index(name: string): Promise<number | undefined> {
    const out = new MessageWriter();
    beginLink(out, RTM.GETLINK, 0, 0);
    out.text(LINK.NAME, name);
    out.end();
    try {
      const { messages } = await this.#socket.request(out.take(), { about: () => name });
      const found = messages.find(
        ({ type, payload }) => type === RTM.NEWLINK && payload.length >= LINK_BYTES,
      );
      return found && viewOf(found.payload).getInt32(4, true);
    } catch (error) {
      if (hasCode(error, 'ENODEV')) return undefined;
      throw error;
    }
  }

  /** Makes a device that swallows what is sent to it; one that is there already is no fault. */
  async addDummy(name: string): Promise<void> {
    const out = new MessageWriter();
    beginLink(out, RTM.NEWLINK, NLM_F.ACK | NLM_F.CREATE | NLM_F.EXCL, 0);
    out.text(LINK.NAME, name);
    out.nest(LINK.INFO, () => out.text(INFO_KIND, 'dummy'));
    out.end();
    await this.#socket.request(out.take(), { about: () => name, tolerated: ['EEXIST'] });
  }

  /** Without an address of its own making: addresses are what it is given. */
  async setUp(index: number): Promise<void> {
    const out = new MessageWriter();
    beginLink(out, RTM.NEWLINK, NLM_F.ACK, index);
    out.nest(LINK.AF_SPEC, () => out.nest(AF.IPv6, () => out.u8(ADDR_GEN_MODE.TYPE, ADDR_GEN_MODE.NONE)));
    out.end();
    beginLink(out, RTM.NEWLINK, NLM_F.ACK, index, IFF_UP);
    out.end();
    await this.#socket.request(out.take(), { about: () => `device ${index}` });
  }

  async remove(index: number): Promise<void> {
    const out = new MessageWriter();
    beginLink(out, RTM.DELLINK, NLM_F.ACK, index);
    out.end();
    await this.#socket.request(out.take(), { about: () => `device ${index}`, tolerated: ['ENODEV'] });
  }

  /** Addresses of one family that a device has. */
  async addresses(index: number, family: Family): Promise<ReadonlySet<string>> {
    const out = new MessageWriter();
    out.begin(RTM.GETADDR, NLM_F.DUMP);
    out.raw(Uint8Array.of(AF[family], 0, 0, 0, 0, 0, 0, 0));
    out.end();
    const { messages } = await this.#socket.request(out.take(), { about: () => 'the list of addresses' });
    const found = new Set<string>();
    for (const { payload } of messages) {
      if (payload.length < ADDRESS_BYTES || viewOf(payload).getUint32(4, true) !== index) continue;
      const fields = new Map(attributesOf(payload, ADDRESS_BYTES));
      const bytes = fields.get(ADDRESS.LOCAL) ?? fields.get(ADDRESS.ADDRESS);
      if (bytes) found.add(formatAddress(bytes));
    }
    return found;
  }

  /** Gives a device single addresses; those that it has stay. */
  async bind(index: number, addresses: Iterable<string>): Promise<void> {
    await sendEach(this.#socket, [...addresses], {
      write: (out, address, flags) =>
        writeAddress(out, RTM.NEWADDR, flags | NLM_F.CREATE | NLM_F.REPLACE, index, address),
      about: (address) => `address ${address}`,
    });
  }

  /** Takes addresses away; those that it has not are no fault. */
  async unbind(index: number, addresses: Iterable<string>): Promise<void> {
    await sendEach(this.#socket, [...addresses], {
      write: (out, address, flags) => writeAddress(out, RTM.DELADDR, flags, index, address),
      about: (address) => `address ${address}`,
      tolerated: ['EADDRNOTAVAIL'],
    });
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function beginLink(out: MessageWriter, type: number, flags: number, index: number, up = 0): void {
  out.begin(type, flags);
  const header = new Uint8Array(LINK_BYTES);
  const view = viewOf(header);
  view.setInt32(4, index, true);
  view.setUint32(8, up, true);
  view.setUint32(12, up, true);
  out.raw(header);
}

function writeAddress(
  out: MessageWriter,
  type: number,
  flags: number,
  index: number,
  address: string,
): number {
  const bytes = parseAddress(address);
  if (!bytes) throw new Fault('NETLINK', `"${address}" is no address`);
  const isIPv6 = bytes.length === 16;
  const sequence = out.begin(type, flags);
  const header = new Uint8Array(ADDRESS_BYTES);
  header[0] = isIPv6 ? AF.IPv6 : AF.IPv4;
  header[1] = 8 * bytes.length;
  viewOf(header).setUint32(4, index, true);
  out.raw(header);
  out.bytes(ADDRESS.LOCAL, bytes);
  out.bytes(ADDRESS.ADDRESS, bytes);
  if (isIPv6) out.u32(ADDRESS.FLAGS, IFA_F_NODAD);
  out.end();
  return sequence;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
