import { UDP_PAYLOAD_BYTES, UDP_PLAIN_BYTES } from '../limits.ts';
import type { ExtendedError, Outcome, Query } from '../query.ts';
import { encodeMessage, MAX_MESSAGE_BYTES } from '../wire/encode.ts';
import { replyTo, type Edns, type EdnsOption, type Message } from '../wire/message.ts';
import { EDNS_OPTION } from '../wire/numbers.ts';

export interface ReplyOptions {
  /** Echo the client's UDP size, set TC for missing additional records, no cap of our own: CoreDNS to the letter. */
  readonly strict: boolean;
}

const KEPT_OPTIONS: readonly number[] = Object.values(EDNS_OPTION);

/** The message an outcome stands for; undefined when nothing is to be said. */
export function messageOf(request: Message, outcome: Outcome): Message | undefined {
  if (outcome.kind === 'reply') return outcome.message;
  if (outcome.kind === 'failure') return replyTo(request, { rcode: outcome.rcode });
  return undefined;
}

/** Puts id, question, RD, CD (RFC 4035 section 3.2.2) and OPT of a reply right for its request. */
export function finishReply(
  request: Message,
  reply: Message,
  extended: ExtendedError | undefined,
  cookie: EdnsOption | undefined,
  options: ReplyOptions,
): Message {
  const questions = request.questions.length > 0 ? request.questions : reply.questions;
  return {
    ...reply,
    id: request.id,
    response: true,
    opcode: request.opcode,
    recursionDesired: request.recursionDesired,
    checkingDisabled: request.checkingDisabled,
    questions,
    edns: request.edns ? replyEdns(request.edns, reply.edns, extended, cookie, options) : undefined,
  };
}

function replyEdns(
  asked: Edns,
  made: Edns | undefined,
  extended: ExtendedError | undefined,
  cookie: EdnsOption | undefined,
  { strict }: ReplyOptions,
): Edns {
  const kept = (made?.options ?? []).filter(
    ({ code }) => KEPT_OPTIONS.includes(code) && code !== EDNS_OPTION.COOKIE,
  );
  const ede = extended && !strict ? [extendedErrorOption(extended)] : [];
  return {
    udpSize: strict ? asked.udpSize : UDP_PAYLOAD_BYTES,
    version: 0,
    dnssecOk: asked.dnssecOk,
    options: [...kept, ...ede, ...(cookie ? [cookie] : [])],
  };
}

/** RFC 8914 section 2. */
export function extendedErrorOption({ code, text }: ExtendedError): EdnsOption {
  const data = Buffer.concat([Uint8Array.of(code >> 8, code & 0xff), Buffer.from(text)]);
  return { code: EDNS_OPTION.EDE, data: Uint8Array.from(data) };
}

/** Packs a finished reply into what the transport and the client take; signs it if the question was signed. */
export function packReply(
  query: Pick<Query, 'transport' | 'request' | 'signed'>,
  reply: Message,
  maxBytes: number | undefined,
  { strict }: ReplyOptions,
): Uint8Array {
  const { transport, request, signed } = query;
  const taken = Math.max(UDP_PLAIN_BYTES, request.edns?.udpSize ?? UDP_PLAIN_BYTES);
  const cap = Math.max(maxBytes ?? (strict ? MAX_MESSAGE_BYTES : UDP_PAYLOAD_BYTES), UDP_PLAIN_BYTES);
  const most = transport === 'udp' ? Math.min(taken, cap) : MAX_MESSAGE_BYTES;
  const packed = encodeMessage(reply, {
    maxBytes: most - (signed?.reserveBytes ?? 0),
    truncateForAdditional: strict,
  });
  return signed ? signed.sign(packed) : packed;
}
