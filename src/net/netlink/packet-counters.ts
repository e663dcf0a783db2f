import { hasCode } from '../../base/fault.ts';
import { attributeAt, MessageWriter, NLM_F } from './message.ts';
import type { NetlinkSocket, RequestOptions } from './socket.ts';

/** linux/netfilter/nfnetlink_acct.h. */
const SUBSYSTEM = 7;
const COMMAND = { NEW: 0, GET: 1, DEL: 3 } as const;
const ATTRIBUTE = { NAME: 1, PACKETS: 2 } as const;
/** struct nfgenmsg. */
const HEADER_BYTES = 4;

/** Named counters that rules of iptables add to (`-m nfacct`). Faults are those of NetlinkSocket.request. */
export class PacketCounters implements Disposable {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** One that is there already goes on counting. */
  async create(name: string): Promise<void> {
    await this.#send(COMMAND.NEW, NLM_F.ACK | NLM_F.CREATE, name, ['EBUSY', 'EEXIST']);
  }

  /** One that a rule still refers to stays. */
  async remove(name: string): Promise<void> {
    await this.#send(COMMAND.DEL, NLM_F.ACK, name, ['EBUSY', 'ENOENT']);
  }

  /** Since it was made; undefined when there is none. */
  async packets(name: string): Promise<number | undefined> {
    try {
      const { messages } = await this.#send(COMMAND.GET, 0, name);
      const value = messages[0] && attributeAt(messages[0].payload, [ATTRIBUTE.PACKETS], HEADER_BYTES);
      if (value?.length !== 8) return undefined;
      return Number(new DataView(value.buffer, value.byteOffset, 8).getBigUint64(0));
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  #send(
    command: number,
    flags: number,
    name: string,
    tolerated: RequestOptions['tolerated'] = [],
  ): ReturnType<NetlinkSocket['request']> {
    const out = new MessageWriter();
    out.begin((SUBSYSTEM << 8) | command, flags);
    out.raw(new Uint8Array(HEADER_BYTES));
    out.text(ATTRIBUTE.NAME, name);
    out.end();
    return this.#socket.request(out.take(), { about: () => `packet counter ${name}`, tolerated });
  }
}
