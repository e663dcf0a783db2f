import { joinHostPort } from '../../../src/net/ip.ts';
import type { SentReply } from '../../plugin.ts';
import { opcodeNumber, rcodeNumber } from '../../wire/numbers.ts';

/** CoreDNS's common log format. */
export const COMMON =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}';
export const COMBINED = `${COMMON} "{>opcode}"`;

const EMPTY = '-';

/** Replaces `{label}`s; unknown labels and facts that are not there become `-`. */
export function formatLine(format: string, sent: SentReply): string {
  return format.replace(/\{(\/?>?[\w/.-]+)\}/g, (_all, label: string) => {
    if (label.startsWith('/')) return sent.query.metadata.get(label.slice(1))?.() || EMPTY;
    return valueOf(label, sent);
  });
}

function valueOf(label: string, { query, reply, requestBytes, replyBytes, durationMs }: SentReply): string {
  const { question, client, request, server } = query;
  const bracketed = (address: string): string => joinHostPort(address, 0).replace(/:0$/, '');
  const values: Readonly<Record<string, () => string | number>> = {
    type: () => question.type,
    name: () => question.name,
    class: () => question.class,
    proto: () => query.transport,
    remote: () => bracketed(client.address),
    port: () => client.port,
    local: () => bracketed(server.address),
    size: () => requestBytes.length,
    rcode: () => reply?.rcode ?? EMPTY,
    rsize: () => replyBytes?.length ?? 0,
    duration: () => `${(durationMs / 1000).toFixed(9).replace(/0+$/, '')}s`,
    '>id': () => request.id,
    '>opcode': () => opcodeNumber(request.opcode),
    '>do': () => String(request.edns?.dnssecOk ?? false),
    // What the client takes: of a stream whatever fits one message.
    '>bufsize': () => (query.transport === 'udp' ? (request.edns?.udpSize ?? 512) : 65_535),
    '>rflags': () => (reply ? flagsOf(reply) : EMPTY),
    '>rcode': () => (reply ? rcodeNumber(reply.rcode) : EMPTY),
  };
  return Object.hasOwn(values, label) ? String(values[label]!()) : EMPTY;
}

function flagsOf(reply: NonNullable<SentReply['reply']>): string {
  const flags = [
    reply.response && 'qr',
    reply.authoritative && 'aa',
    reply.truncated && 'tc',
    reply.recursionDesired && 'rd',
    reply.recursionAvailable && 'ra',
    reply.authenticData && 'ad',
    reply.checkingDisabled && 'cd',
  ];
  return flags.filter((flag) => flag !== false).join(',');
}
