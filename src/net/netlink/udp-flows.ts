import { hasCode } from '../../base/fault.ts';
import type { TrackedFlow, UdpFlows } from '../conntrack.ts';
import { type Family, formatAddress, parseAddress } from '../ip.ts';
import { attributeAt, MessageWriter, type NetlinkMessage, NLM_F } from './message.ts';
import type { NetlinkSocket } from './socket.ts';

/** linux/netfilter/nfnetlink_conntrack.h. */
const SUBSYSTEM = 1;
const NEW = SUBSYSTEM << 8;
const GET = NEW | 1;
const DELETE = NEW | 2;
const FLOW = { ORIGINAL: 1, REPLY: 2, FILTER: 25 } as const;
const TUPLE = { ADDRESSES: 1, PROTOCOL: 2 } as const;
const ADDRESSES = {
  IPv4: { family: 2, source: 1, destination: 2 },
  IPv6: { family: 10, source: 3, destination: 4 },
} as const;
const PROTOCOL = { NUMBER: 1, SOURCE_PORT: 2, DESTINATION_PORT: 3 } as const;
const FILTER_ORIGINAL_FLAGS = 1;
/** What of the original direction must be as asked (net/netfilter/nf_internals.h). */
const MUST = { PROTOCOL: 1 << 3, DESTINATION_PORT: 1 << 5 } as const;
const UDP = 17;

/** struct nfgenmsg: family, version, resource id; then the attributes. */
const HEADER_BYTES = 4;
/** With more ports than these the kernel is asked once for all flows instead of walking its table for each. */
const PORTS_ASKED_MAX = 4;
/** Flows forgotten by one request: each may fail, and all those answers must fit the socket's receive buffer. */
const FORGOTTEN_PER_REQUEST = 400;

/** The kernel's own conntrack table, asked without starting a program. Faults are those of NetlinkSocket.request. */
export class NetlinkUdpFlows implements UdpFlows {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Kernels before 5.8 know no filter and list more than was asked for. */
  async list(family: Family, ports: ReadonlySet<number>): Promise<readonly TrackedFlow[]> {
    const asked = ports.size > PORTS_ASKED_MAX ? [undefined] : [...ports];
    const flows: TrackedFlow[] = [];
    for (const port of asked) {
      const { messages } = await this.#socket.request(question(family, port));
      for (const message of messages) {
        const flow = flowIn(message, family);
        if (flow && (port === undefined || flow.destinationPort === port)) flows.push(flow);
      }
    }
    return flows;
  }

  async forget(family: Family, flows: readonly TrackedFlow[]): Promise<void> {
    for (let from = 0; from < flows.length; from += FORGOTTEN_PER_REQUEST) {
      const out = new MessageWriter();
      for (const flow of flows.slice(from, from + FORGOTTEN_PER_REQUEST)) writeDelete(out, family, flow);
      try {
        await this.#socket.request(out.take());
      } catch (error) {
        if (!hasCode(error, 'ENOENT')) throw error; // one ended meanwhile; the others are forgotten
      }
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

function begin(out: MessageWriter, type: number, flags: number, family: Family): void {
  out.begin(type, flags);
  out.raw(Uint8Array.of(ADDRESSES[family].family, 0, 0, 0));
}

function question(family: Family, port: number | undefined): Uint8Array {
  const out = new MessageWriter();
  begin(out, GET, NLM_F.DUMP, family);
  out.nest(FLOW.ORIGINAL, () =>
    out.nest(TUPLE.PROTOCOL, () => {
      out.u8(PROTOCOL.NUMBER, UDP);
      if (port !== undefined) out.u16be(PROTOCOL.DESTINATION_PORT, port);
    }),
  );
  const must = MUST.PROTOCOL | (port === undefined ? 0 : MUST.DESTINATION_PORT);
  out.nest(FLOW.FILTER, () => out.u32(FILTER_ORIGINAL_FLAGS, must));
  out.end();
  return out.take();
}

function writeDelete(out: MessageWriter, family: Family, flow: TrackedFlow): void {
  const [source, destination] = [parseAddress(flow.source), parseAddress(flow.destination)];
  if (!source || !destination) return;
  begin(out, DELETE, 0, family);
  out.nest(FLOW.ORIGINAL, () => {
    out.nest(TUPLE.ADDRESSES, () => {
      out.bytes(ADDRESSES[family].source, source);
      out.bytes(ADDRESSES[family].destination, destination);
    });
    out.nest(TUPLE.PROTOCOL, () => {
      out.u8(PROTOCOL.NUMBER, UDP);
      out.u16be(PROTOCOL.SOURCE_PORT, flow.sourcePort);
      out.u16be(PROTOCOL.DESTINATION_PORT, flow.destinationPort);
    });
  });
  out.end();
}

/** Undefined for what is no flow of UDP in this family. */
function flowIn({ type, payload }: NetlinkMessage, family: Family): TrackedFlow | undefined {
  if (type !== NEW || attributeAt(payload, PROTOCOL_PATH, HEADER_BYTES)?.[0] !== UDP) return undefined;
  const original = tupleIn(payload, FLOW.ORIGINAL, family);
  const reply = tupleIn(payload, FLOW.REPLY, family);
  if (!original || !reply) return undefined;
  return { ...original, replySource: reply.source, replySourcePort: reply.sourcePort };
}

const PROTOCOL_PATH = [FLOW.ORIGINAL, TUPLE.PROTOCOL, PROTOCOL.NUMBER];

type Tuple = Omit<TrackedFlow, 'replySource' | 'replySourcePort'>;

function tupleIn(payload: Uint8Array, direction: number, family: Family): Tuple | undefined {
  const tuple = attributeAt(payload, [direction], HEADER_BYTES);
  if (!tuple) return undefined;
  const { source: sourceType, destination: destinationType } = ADDRESSES[family];
  const source = attributeAt(tuple, [TUPLE.ADDRESSES, sourceType]);
  const destination = attributeAt(tuple, [TUPLE.ADDRESSES, destinationType]);
  const sourcePort = portIn(tuple, PROTOCOL.SOURCE_PORT);
  const destinationPort = portIn(tuple, PROTOCOL.DESTINATION_PORT);
  if (!source || !destination || sourcePort === undefined || destinationPort === undefined) return undefined;
  return {
    source: formatAddress(source),
    sourcePort,
    destination: formatAddress(destination),
    destinationPort,
  };
}

function portIn(tuple: Uint8Array, type: number): number | undefined {
  const bytes = attributeAt(tuple, [TUPLE.PROTOCOL, type]);
  return bytes?.length === 2 ? ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0) : undefined;
}
