import { Fault, hasCode } from '../../base/fault.ts';
import { type HeldServer, type IpvsChange, ipvsLine, type IpvsServer, type ServerKey } from '../ipvs.ts';
import {
  beginGeneric,
  GENERIC_HEADER_BYTES,
  IPVS_ATTRIBUTE,
  IPVS_COMMAND,
  readReal,
  readServer,
  type RealServer,
  writeIpvsChange,
  writeServerKey,
} from './ipvs-message.ts';
import { attributeAt, MessageWriter, NLM_F } from './message.ts';
import { sendEach } from './send-each.ts';
import type { NetlinkSocket } from './socket.ts';

/** linux/genetlink.h: the family that knows the families. */
const CONTROL = { ID: 0x10, GET_FAMILY: 3, FAMILY_ID: 1, FAMILY_NAME: 2 } as const;

/**
 * The kernel's virtual servers, by generic netlink. Faults: IPVS_UNAVAILABLE when the kernel has no IPVS, else those
 * of NetlinkSocket.request, which name the change.
 */
export class Ipvs implements Disposable {
  readonly #socket: NetlinkSocket;
  #family: number | undefined;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /**
   * In order. The kernel goes on after a change that it refuses; the first such is the fault.
   * @param about what a fault calls a change @param tolerated errnos that are no fault
   */
  async write(
    changes: readonly IpvsChange[],
    about: (change: IpvsChange) => string = ipvsLine,
    tolerated: readonly string[] = [],
  ): Promise<void> {
    if (changes.length === 0) return;
    const family = await this.#familyId();
    const write = (out: MessageWriter, change: IpvsChange, flags: number): number =>
      writeIpvsChange(out, family, change, flags);
    await sendEach(this.#socket, changes, { write, about, tolerated });
  }

  /** The virtual servers of both families. */
  async servers(): Promise<ReadonlyMap<ServerKey, IpvsServer>> {
    const found = new Map<ServerKey, IpvsServer>();
    for (const payload of await this.#dump(IPVS_COMMAND.GET_SERVICE)) {
      const read = readServer(payload);
      if (read) found.set(read.key, read.server);
    }
    return found;
  }

  /** Those that are wanted, with their real servers: a question for each. */
  async held(isWanted: (key: ServerKey) => boolean): Promise<ReadonlyMap<ServerKey, HeldServer>> {
    const held = new Map<ServerKey, HeldServer>();
    for (const [key, server] of await this.servers()) {
      if (!isWanted(key)) continue;
      const reals = await this.reals(key);
      held.set(key, { server, weights: new Map(reals.map(({ real, weight }) => [real, weight])) });
    }
    return held;
  }

  /** The real servers of one virtual server; none when there is no such server. */
  async reals(key: ServerKey): Promise<readonly RealServer[]> {
    const isIPv6 = key.includes('[');
    const payloads = await this.#dump(IPVS_COMMAND.GET_DEST, key);
    return payloads.map((payload) => readReal(payload, isIPv6)).filter((real) => real !== undefined);
  }

  /** Seconds; 0 leaves the kernel's value. */
  async setTimeouts(tcp: number, tcpFin: number, udp: number): Promise<void> {
    const out = new MessageWriter();
    beginGeneric(out, await this.#familyId(), IPVS_COMMAND.SET_CONFIG, NLM_F.ACK);
    out.u32(IPVS_ATTRIBUTE.TIMEOUT_TCP, tcp);
    out.u32(IPVS_ATTRIBUTE.TIMEOUT_TCP_FIN, tcpFin);
    out.u32(IPVS_ATTRIBUTE.TIMEOUT_UDP, udp);
    out.end();
    await this.#socket.request(out.take(), { about: () => 'the timeouts of IPVS' });
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  async #dump(command: number, key?: ServerKey): Promise<readonly Uint8Array[]> {
    const out = new MessageWriter();
    const family = await this.#familyId();
    beginGeneric(out, family, command, NLM_F.DUMP);
    if (key !== undefined) out.nest(IPVS_ATTRIBUTE.SERVICE, () => writeServerKey(out, key));
    out.end();
    const { messages } = await this.#socket.request(out.take(), {
      about: () => `the list of ${key ?? 'servers'}`,
    });
    return messages.filter(({ type }) => type === family).map(({ payload }) => payload);
  }

  /** Asking for the family loads the kernel's module where there is one. */
  async #familyId(): Promise<number> {
    return (this.#family ??= await this.#askFamilyId());
  }

  async #askFamilyId(): Promise<number> {
    const out = new MessageWriter();
    beginGeneric(out, CONTROL.ID, CONTROL.GET_FAMILY, 0);
    out.text(CONTROL.FAMILY_NAME, 'IPVS');
    out.end();
    try {
      const { messages } = await this.#socket.request(out.take());
      const id = messages[0] && attributeAt(messages[0].payload, [CONTROL.FAMILY_ID], GENERIC_HEADER_BYTES);
      if (id && id.length >= 2) return (id[0] ?? 0) | ((id[1] ?? 0) << 8);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
    throw new Fault('IPVS_UNAVAILABLE', 'this kernel has no IPVS: modprobe ip_vs, or use another mode');
  }
}
