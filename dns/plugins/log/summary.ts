import type { AnswerSummary } from '../../answer-summary.ts';
import type { SentReply } from '../../plugin.ts';

/** What the chain answered, as it is told of what the table answers. */
export function summaryOf({ query, requestBytes, reply, replyBytes, durationMs }: SentReply): AnswerSummary {
  const { client, transport, question, request } = query;
  return {
    client,
    transport,
    id: request.id,
    opcode: request.opcode,
    question,
    edns: request.edns,
    requestBytes: requestBytes.length,
    reply: reply && {
      ...reply,
      noData:
        reply.rcode === 'NOERROR' &&
        reply.answers.length === 0 &&
        reply.authorities.some((record) => record.type === 'SOA'),
    },
    replyBytes: replyBytes?.length ?? 0,
    durationMs,
  };
}
