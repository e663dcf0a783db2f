import type { DecodeResult } from '../wire/decode.ts';
import { queryMessage, replyTo, type Message, type Question } from '../wire/message.ts';

/**
 * What is decided from the message alone, before any block is asked:
 * - ignore: a response, or too short to answer
 * - refuse: answer this and nothing else
 * - serve: exactly one question, opcode QUERY or NOTIFY
 */
export type Admission =
  | { readonly verdict: 'ignore'; readonly reason: string }
  | { readonly verdict: 'refuse'; readonly request: Message; readonly reply: Message }
  | { readonly verdict: 'serve'; readonly request: Message; readonly question: Question };

/** FORMERR, NOTIMP and BADVERS as RFC 1035 4.1.1, RFC 6891 6.1.3 and RFC 9619 ask for. */
export function admit(decoded: DecodeResult, strict: boolean): Admission {
  if (!decoded.ok) {
    const { header } = decoded;
    if (!header || header.response) return { verdict: 'ignore', reason: decoded.reason };
    return refuse({ ...header, questions: [] }, 'FORMERR');
  }
  const { message } = decoded;
  if (message.response) return { verdict: 'ignore', reason: 'a response' };
  if (message.opcode !== 'QUERY' && message.opcode !== 'NOTIFY') return refuse(message, 'NOTIMP');
  if ((message.edns?.version ?? 0) > 0) return refuse(message, 'BADVERS');
  const question = message.questions[0];
  if (!question) return refuse(message, strict ? 'SERVFAIL' : 'FORMERR');
  if (message.questions.length > 1) return refuse(message, 'FORMERR');
  return { verdict: 'serve', request: message, question };
}

function refuse(request: Message, rcode: Message['rcode']): Admission {
  return { verdict: 'refuse', request, reply: replyTo(request, { rcode }) };
}

/** A question of our own making, for internal look-ups. */
export function innerRequest(outer: Message, question: Question): Message {
  return queryMessage(question, {
    id: outer.id,
    recursionDesired: outer.recursionDesired,
    checkingDisabled: outer.checkingDisabled,
    ...(outer.edns && { edns: { ...outer.edns, options: [] } }),
  });
}
