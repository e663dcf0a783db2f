import { Fault } from '../../base/fault.ts';
import { assertLayout } from '../native/abi.ts';
import { errnoName } from '../native/errno.ts';
import { lastErrno, socketCalls } from '../libc.ts';
import { attributeAt, type NetlinkMessage, parseMessages } from './message.ts';

/** Protocols of the family AF_NETLINK (linux/netlink.h). */
export const NETLINK = { ROUTE: 0, NETFILTER: 12, GENERIC: 16 } as const;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_DONTWAIT = 0x40;
/** struct sockaddr_nl: family, padding, port id, groups. */
const ADDRESS_BYTES = 12;

/** The largest request: a datagram must fit the send buffer whole. */
export const NETLINK_REQUEST_BYTES_MAX = 8 * 1_048_576;
/** The kernel fills at most 32 KiB of a dump at once. */
const RECEIVE_BYTES = 65_536;
/** Datagrams read in one turn of the event loop. */
const RECEIVE_BATCH_MAX = 64;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_MIN_TYPE = 16;
const NLM_F_ACK_TLVS = 0x200;
/** struct nlmsgerr with the original message cut to its header: error, header. */
const ERROR_BYTES = 20;
const NLMSGERR_ATTR_MSG = 1;

/** What the kernel said to one request. */
export interface NetlinkReply {
  readonly messages: readonly NetlinkMessage[];
  /** Sequence numbers of messages that it acknowledged. */
  readonly acknowledged: ReadonlySet<number>;
}

export interface RequestOptions {
  /** What a fault calls the message with this sequence number; absent: by the number. */
  readonly about?: (sequence: number) => string;
  /** Errnos that are no fault: what was asked for is so already. */
  readonly tolerated?: readonly string[];
}

/** A conversation with one subsystem of the kernel, in the network namespace of whoever opened it. */
export interface NetlinkSocket extends Disposable {
  /**
   * Sends the messages as one datagram, beside the event loop. Rejects with a Fault named by the errno (ENOENT),
   * with the kernel's own words, when one of them failed; with NETLINK when it was not taken at all. One request at a time: others wait.
   */
  request(messages: Uint8Array, options?: RequestOptions): Promise<NetlinkReply>;
}

export type OpenNetlink = (protocol: number) => NetlinkSocket;

/** Throws Fault FFI, NATIVE_UNSUPPORTED or NETLINK. */
export const openNetlink: OpenNetlink = (protocol) => {
  assertLayout();
  const { socket, bind, setsockopt, close } = socketCalls();
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) throw new Fault('NETLINK', `no netlink socket: ${lastErrno()}`);
  const address = new Uint8Array(ADDRESS_BYTES);
  address[0] = AF_NETLINK;
  const on = new Uint8Array(Int32Array.of(1).buffer);
  const room = new Uint8Array(Int32Array.of(NETLINK_REQUEST_BYTES_MAX).buffer);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, on, on.length);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, on, on.length);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, room, room.length);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, room, room.length);
  if (bind(fd, address, address.length) !== 0) {
    const errno = lastErrno();
    close(fd);
    throw new Fault('NETLINK', `cannot bind a netlink socket: ${errno}`);
  }
  return new OpenSocket(fd);
};

class OpenSocket implements NetlinkSocket {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(new ArrayBuffer(RECEIVE_BYTES));
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  request(messages: Uint8Array, options: RequestOptions = {}): Promise<NetlinkReply> {
    const exchange = (): Promise<NetlinkReply> => this.#exchange(messages, options);
    const next = this.#last.then(exchange, exchange);
    this.#last = next;
    return next;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    // a request under way still uses the descriptor
    const close = (): void => void socketCalls().close(this.#fd);
    void this.#last.then(close, close);
  }

  async #exchange(messages: Uint8Array, options: RequestOptions): Promise<NetlinkReply> {
    if (this.#closed) throw new Fault('NETLINK', 'the netlink socket is closed');
    // what an earlier request left unread belongs to nobody
    await this.#receive();
    const sent = await sendBeside(this.#fd, messages);
    const replies = await this.#receive();
    if (sent < 0) throw new Fault('NETLINK', `a netlink request of ${messages.length} bytes was not taken`);
    return sorted(replies, options);
  }

  /** Reads what is there. The kernel answers while it takes the request, so nothing comes later. */
  async #receive(): Promise<NetlinkMessage[]> {
    const { recv } = socketCalls();
    const all: NetlinkMessage[] = [];
    for (let count = 1; ; count++) {
      const size = recv(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT);
      if (size <= 0) return all;
      all.push(...parseMessages(this.#buffer.slice(0, size)));
      if (count % RECEIVE_BATCH_MAX === 0) await new Promise(setImmediate);
    }
  }
}

/** A commit may have to wait for another program's: on a thread of its own. */
function sendBeside(fd: number, data: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const { send } = socketCalls();
    send.async(fd, data, data.length, 0, (error: unknown, sent: number) =>
      error ? reject(new Fault('NETLINK', 'cannot call send', { cause: error })) : resolve(sent),
    );
  });
}

function sorted(replies: readonly NetlinkMessage[], options: RequestOptions): NetlinkReply {
  const acknowledged = new Set<number>();
  for (const reply of replies) {
    if (reply.type !== NLMSG_ERROR && reply.type !== NLMSG_DONE) continue;
    const error = errorOf(reply, options);
    if (error) throw error;
    acknowledged.add(reply.sequence);
  }
  return { messages: replies.filter(({ type }) => type >= NLMSG_MIN_TYPE), acknowledged };
}

/** Error 0 is an acknowledgement. */
function errorOf(
  { payload, flags, sequence }: NetlinkMessage,
  { about, tolerated = [] }: RequestOptions,
): Fault | undefined {
  if (payload.length < 4) return undefined;
  const number = -new DataView(payload.buffer, payload.byteOffset, payload.length).getInt32(0, true);
  if (number === 0) return undefined;
  const words = flags & NLM_F_ACK_TLVS ? attributeAt(payload, [NLMSGERR_ATTR_MSG], ERROR_BYTES) : undefined;
  const said = words ? `, ${Buffer.from(words).toString().replaceAll('\0', '')}` : '';
  const errno = errnoName(-number);
  if (tolerated.includes(errno)) return undefined;
  const which = about?.(sequence) ?? `message ${sequence} of a netlink request`;
  return new Fault(errno, `${which}: ${errno}${said}`);
}
