import { joinHostPort } from '../../../src/net/ip.ts';
import type { AnswerSummary, RepliedWith } from '../../answer-summary.ts';
import { UDP_PLAIN_BYTES } from '../../limits.ts';
import type { Query } from '../../query.ts';
import { opcodeNumber, rcodeNumber } from '../../wire/numbers.ts';

/** CoreDNS's common log format. */
export const COMMON =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}';
export const COMBINED = `${COMMON} "{>opcode}"`;

const EMPTY = '-';
/** What a client takes over a stream: whatever fits one message. */
const STREAM_BUFFER_BYTES = 65_535;

/** Writes a line about an answer; the query is known where a chain made it. */
export type LineFormat = (answer: AnswerSummary, query: Query | undefined) => string;

type LabelValue = (answer: AnswerSummary) => string | number;

const VALUES: Readonly<Record<string, LabelValue>> = {
  type: ({ question }) => question.type,
  name: ({ question }) => question.name.toLowerCase(),
  class: ({ question }) => question.class,
  // as CoreDNS: TLS and HTTPS are TCP
  proto: ({ transport }) => (transport === 'udp' ? 'udp' : 'tcp'),
  remote: ({ client }) => bracketed(client.address),
  port: ({ client }) => client.port,
  size: ({ requestBytes }) => requestBytes,
  rcode: ({ reply }) => reply?.rcode ?? EMPTY,
  rsize: ({ replyBytes }) => replyBytes,
  duration: ({ durationMs }) => secondsText(durationMs),
  '>id': ({ id }) => id,
  '>opcode': ({ opcode }) => opcodeNumber(opcode),
  '>do': ({ edns }) => String(edns?.dnssecOk ?? false),
  '>bufsize': ({ transport, edns }) =>
    transport === 'udp' ? Math.max(edns?.udpSize ?? 0, UDP_PLAIN_BYTES) : STREAM_BUFFER_BYTES,
  '>rflags': ({ reply }) => (reply ? flagsOf(reply) : EMPTY),
  '>rcode': ({ reply }) => (reply ? rcodeNumber(reply.rcode) : EMPTY),
};

/** Reads a format once: `{label}`s are replaced; unknown labels and facts that are not there become `-`. */
export function lineFormat(format: string): LineFormat {
  const parts = format.split(/(\{\/?>?[\w/.-]+\})/).map(partOf);
  return (answer, query) => {
    let line = '';
    for (const part of parts) line += typeof part === 'string' ? part : part(answer, query);
    return line;
  };
}

/** True when lines need what only a chain knows: facts of other plugins, the address that was asked. */
export function needsChain(format: string): boolean {
  return /\{(\/[\w/.-]+|local)\}/.test(format);
}

function partOf(text: string): string | ((answer: AnswerSummary, query: Query | undefined) => string) {
  const label = /^\{(\/?>?[\w/.-]+)\}$/.exec(text)?.[1];
  if (label === undefined) return text;
  if (label.startsWith('/')) return (_answer, query) => query?.metadata.get(label.slice(1))?.() || EMPTY;
  if (label === 'local') return (_answer, query) => (query ? bracketed(query.server.address) : EMPTY);
  const value = Object.hasOwn(VALUES, label) ? VALUES[label] : undefined;
  return value ? (answer) => String(value(answer)) : EMPTY;
}

function bracketed(address: string): string {
  return address.includes(':') ? joinHostPort(address, 0).slice(0, -2) : address;
}

/** As few digits as there are, nanoseconds at most. */
function secondsText(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(9).replace(/\.?0+$/, '')}s`;
}

function flagsOf(reply: RepliedWith): string {
  let flags = reply.response ? 'qr' : '';
  if (reply.authoritative) flags += ',aa';
  if (reply.truncated) flags += ',tc';
  if (reply.recursionDesired) flags += ',rd';
  if (reply.recursionAvailable) flags += ',ra';
  if (reply.authenticData) flags += ',ad';
  if (reply.checkingDisabled) flags += ',cd';
  return flags;
}
