import type { Message, ResourceRecord } from '../../wire/message.ts';
import type { CacheOptions } from './parse.ts';

/** Which store a reply belongs to, or why it is not kept. */
export type ReplyKind = 'success' | 'denial' | 'failure' | 'none';

/** Truncated replies, other errors, denials without a SOA and aliases that lead nowhere are not kept. */
export function classify(message: Message): ReplyKind {
  if (message.truncated || message.opcode !== 'QUERY' || message.questions.length !== 1) return 'none';
  if (message.rcode === 'SERVFAIL' || message.rcode === 'NOTIMP') return 'failure';
  const type = message.questions[0]!.type;
  if (type === 'AXFR' || type === 'IXFR') return 'none';
  const soa = message.authorities.some((record) => record.type === 'SOA');
  if (message.rcode === 'NXDOMAIN') return soa ? 'denial' : 'none';
  if (message.rcode !== 'NOERROR') return 'none';
  if (message.answers.length === 0) return soa ? 'denial' : 'none';
  const dangling =
    message.answers.every((record) => record.type === 'CNAME') && type !== 'CNAME' && type !== 'ANY';
  if (dangling) return soa ? 'denial' : 'none';
  return 'success';
}

/** The ttl of the whole reply within the bounds of its kind (RFC 2308 5 for denials). */
export function ttlOf(message: Message, kind: ReplyKind, options: CacheOptions): number {
  if (kind === 'failure') return options.servfailMs / 1000;
  const { minTtlSeconds, maxTtlSeconds } = kind === 'denial' ? options.denial : options.success;
  const ttls = [...message.answers, ...message.authorities, ...message.additionals].map(ttlOfRecord);
  const smallest = ttls.length > 0 ? Math.min(...ttls) : minTtlSeconds;
  return Math.min(maxTtlSeconds, Math.max(minTtlSeconds, smallest));
}

function ttlOfRecord(record: ResourceRecord): number {
  return record.type === 'SOA' ? Math.min(record.ttl, record.data.minimum) : record.ttl;
}

/** The reply with every record's ttl replaced. */
export function withTtl(message: Message, ttl: number): Message {
  const age = (record: ResourceRecord): ResourceRecord => ({ ...record, ttl });
  return {
    ...message,
    answers: message.answers.map(age),
    authorities: message.authorities.map(age),
    additionals: message.additionals.map(age),
  };
}
