import { createSocket, type Socket } from 'node:dgram';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { frame, FrameReader } from '../../../dns/server/framing.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { replyTo, type Message, type ResourceRecord } from '../../../dns/wire/message.ts';
import { rcodeNumber, type Rcode } from '../../../dns/wire/numbers.ts';
import { parseRecord } from '../../../dns/wire/zone-text.ts';
import { decoded } from './server.ts';

export interface CannedReply {
  readonly q: string;
  readonly type: string;
  readonly rcode: Rcode;
  readonly tc?: boolean;
  readonly answer: readonly string[];
}

/** A resolver on UDP and TCP that says what it was told to say: an independent process's stand-in on the wire. */
export class CannedUpstream implements AsyncDisposable {
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly port: number;
  readonly asked: Message[] = [];

  private constructor(udp: Socket, tcp: Server) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.port = udp.address().port;
  }

  /** `reply` may return undefined: nothing is sent then. */
  static async open(reply: (request: Message) => Message | undefined): Promise<CannedUpstream> {
    const tcp = createServer();
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const udp = createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind((tcp.address() as AddressInfo).port, '127.0.0.1', resolve));
    const upstream = new CannedUpstream(udp, tcp);
    const answer = (bytes: Uint8Array): Uint8Array | undefined => {
      const request = decoded(bytes);
      upstream.asked.push(request);
      const message = reply(request);
      // Uncompressed: the question's mixed case must not leak into names that end alike.
      return (
        message &&
        encodeMessage({ ...message, id: request.id, questions: request.questions }, { compress: false })
      );
    };
    udp.on('message', (bytes, from) => {
      const out = answer(bytes);
      if (out) udp.send(out, from.port, from.address);
    });
    tcp.on('connection', (socket) => {
      const frames = new FrameReader();
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk: Uint8Array) => {
        for (const bytes of frames.push(chunk)) {
          const out = answer(bytes);
          if (out) socket.write(frame(out));
        }
      });
    });
    return upstream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#udp.close();
    this.#tcp.close();
  }
}

/** Answers from a list; a name listed with other types is NODATA, one not listed NXDOMAIN. RA set, AA clear. */
export function cannedReplies(list: readonly CannedReply[]): (request: Message) => Message {
  return (request) => {
    const name = request.questions[0]!.name.toLowerCase();
    const sameName = list.filter((entry) => entry.q.toLowerCase() === name);
    const found = sameName.find((entry) => entry.type === request.questions[0]!.type);
    if (!found) {
      const rcode: Rcode = sameName.length > 0 ? 'NOERROR' : 'NXDOMAIN';
      return replyTo(request, { rcode, recursionAvailable: true });
    }
    rcodeNumber(found.rcode);
    return replyTo(request, {
      rcode: found.rcode,
      truncated: found.tc ?? false,
      recursionAvailable: true,
      answers: found.answer.map(recordOf),
    });
  };
}

export function recordOf(line: string): ResourceRecord {
  const parsed = parseRecord(line);
  if (!parsed.ok) throw new Error(`${line}: ${parsed.reason}`);
  return parsed.record;
}
