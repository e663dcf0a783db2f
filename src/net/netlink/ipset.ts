import { Fault } from '../../base/fault.ts';
import { type Family, parseAddress } from '../ip.ts';
import { type IpsetChange, ipsetLine, type IpsetOptions, type IpsetType } from '../ipset.ts';
import { attributeAt, MessageWriter, NET_BYTEORDER, NLM_F } from './message.ts';
import { sendEach } from './send-each.ts';
import type { NetlinkSocket } from './socket.ts';

/** linux/netfilter/ipset/ip_set.h. Version 6 of the protocol is taken by every kernel since 2.6.39. */
const PROTOCOL_VERSION = 6;
const SUBSYSTEM = 6;
const COMMAND = { CREATE: 2, DESTROY: 3, FLUSH: 4, SWAP: 6, LIST: 7, ADD: 9, DEL: 10 } as const;
const ATTRIBUTE = {
  PROTOCOL: 1,
  SETNAME: 2,
  TYPENAME: 3,
  SETNAME2: 3,
  REVISION: 4,
  FAMILY: 5,
  FLAGS: 6,
  DATA: 7,
} as const;
const DATA = {
  IP: 1,
  PORT: 4,
  PORT_TO: 5,
  TIMEOUT: 6,
  PROTO: 7,
  HASHSIZE: 18,
  MAXELEM: 19,
  IP2: 20,
  CIDR2: 21,
} as const;
const ADDRESS = { IPv4: 1, IPv6: 2 } as const;
const LIST_NAMES_ONLY = 1 << 1;
const NF_FAMILY: Readonly<Record<Family, number>> = { IPv4: 2, IPv6: 10 };
const PROTOCOL: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** Revisions that came with kernel 3.18: later ones add options that are not used here. */
const REVISION: Readonly<Record<IpsetType, number>> = {
  'bitmap:port': 3,
  'hash:ip': 4,
  'hash:ip,port': 5,
  'hash:ip,port,ip': 5,
  'hash:ip,port,net': 7,
};

/** struct nfgenmsg. */
const HEADER_BYTES = 4;

/** IPSET_ERR_BUSY as RequestOptions.tolerated takes it. */
export const IPSET_IN_USE = 'errno 4100';

/** Error numbers of ipset's own, in words. */
const REASONS: Readonly<Record<string, string>> = {
  'errno 4098': 'the kernel has no such type of set',
  'errno 4099': 'the kernel has no room for another set',
  [IPSET_IN_USE]: 'the set is in use',
  'errno 4102': 'the sets are of different types',
  'errno 4104': 'no valid prefix length',
  'errno 4352': 'the set is full',
};

/** The kernel's ipsets, by netlink. Faults: IPSET_FAILED (the message holds the change as a line of ipset), NETLINK. */
export class Ipsets implements Disposable {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /**
   * In order. The kernel goes on after a change that it refuses; the first such is the fault.
   * @param tolerated errnos that are no fault
   */
  async write(changes: readonly IpsetChange[], tolerated: readonly string[] = []): Promise<void> {
    const options = { write: writeIpsetChange, about: ipsetLine, tolerated };
    await sendEach(this.#socket, changes, options).catch(inWords);
  }

  /** Names of all sets of this network namespace; none where the kernel knows no sets. */
  async names(): Promise<readonly string[]> {
    const out = new MessageWriter();
    begin(out, COMMAND.LIST, NLM_F.DUMP);
    out.u32be(ATTRIBUTE.FLAGS | NET_BYTEORDER, LIST_NAMES_ONLY);
    out.end();
    const { messages } = await this.#socket
      .request(out.take(), { about: () => 'list', tolerated: ['EINVAL'] })
      .catch(inWords);
    return messages.flatMap(({ payload }) => {
      const name = attributeAt(payload, [ATTRIBUTE.SETNAME], HEADER_BYTES);
      return name ? [Buffer.from(name).toString().replaceAll('\0', '')] : [];
    });
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function inWords(error: unknown): never {
  if (!(error instanceof Fault) || error.code === 'NETLINK') throw error;
  const reason = REASONS[error.code];
  const message = reason === undefined ? error.message : error.message.replace(error.code, reason);
  throw new Fault('IPSET_FAILED', `ipset: ${message}`, { cause: error });
}

function begin(out: MessageWriter, command: number, flags: number): number {
  const sequence = out.begin((SUBSYSTEM << 8) | command, flags);
  out.raw(Uint8Array.of(NF_FAMILY.IPv4, 0, 0, 0));
  out.u8(ATTRIBUTE.PROTOCOL, PROTOCOL_VERSION);
  return sequence;
}

/** One message; gives its sequence number. Throws Fault IPSET_FAILED when the entry is none. */
export function writeIpsetChange(out: MessageWriter, change: IpsetChange, flags: number): number {
  const command = COMMAND[change.verb.toUpperCase() as Uppercase<IpsetChange['verb']>];
  const sequence = begin(out, command, flags);
  out.text(ATTRIBUTE.SETNAME, change.set);
  if (change.verb === 'swap') out.text(ATTRIBUTE.SETNAME2, change.other);
  if (change.verb === 'create') writeOptions(out, change.options);
  if (change.verb === 'add' || change.verb === 'del')
    out.nest(ATTRIBUTE.DATA, () => writeEntry(out, change.entry));
  out.end();
  return sequence;
}

function writeOptions(out: MessageWriter, options: IpsetOptions): void {
  const { type, family, entriesMax, hashSize, timeoutSeconds } = options;
  const isBitmap = type === 'bitmap:port';
  out.text(ATTRIBUTE.TYPENAME, type);
  out.u8(ATTRIBUTE.REVISION, REVISION[type]);
  out.u8(ATTRIBUTE.FAMILY, isBitmap ? 0 : NF_FAMILY[family]);
  out.nest(ATTRIBUTE.DATA, () => {
    if (isBitmap) {
      out.u16be(DATA.PORT | NET_BYTEORDER, 0);
      out.u16be(DATA.PORT_TO | NET_BYTEORDER, 65_535);
      return;
    }
    if (hashSize !== undefined) out.u32be(DATA.HASHSIZE | NET_BYTEORDER, hashSize);
    if (entriesMax !== undefined) out.u32be(DATA.MAXELEM | NET_BYTEORDER, entriesMax);
    if (timeoutSeconds !== undefined) out.u32be(DATA.TIMEOUT | NET_BYTEORDER, timeoutSeconds);
  });
}

function writeEntry(out: MessageWriter, entry: string): void {
  const [first = '', place, last] = entry.split(',');
  if (/^\d+$/.test(first)) return out.u16be(DATA.PORT | NET_BYTEORDER, Number(first));
  writeAddress(out, DATA.IP, first);
  if (place !== undefined) {
    const [protocol = '', port = ''] = place.split(':');
    const number = PROTOCOL[protocol];
    if (number === undefined) throw new Fault('IPSET_FAILED', `ipset: no protocol in "${entry}"`);
    out.u8(DATA.PROTO, number);
    out.u16be(DATA.PORT | NET_BYTEORDER, Number(port));
  }
  if (last === undefined) return;
  const [network = '', prefix] = last.split('/');
  writeAddress(out, DATA.IP2, network);
  if (prefix !== undefined) out.u8(DATA.CIDR2, Number(prefix));
}

function writeAddress(out: MessageWriter, type: number, address: string): void {
  const bytes = parseAddress(address);
  if (!bytes) throw new Fault('IPSET_FAILED', `ipset: "${address}" is no address`);
  const inner = bytes.length === 4 ? ADDRESS.IPv4 : ADDRESS.IPv6;
  out.nest(type, () => out.bytes(inner | NET_BYTEORDER, bytes));
}
