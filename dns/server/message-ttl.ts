import { decodeMessage } from '../wire/decode.ts';
import type { Message } from '../wire/message.ts';

/** How long an answer may be kept (RFC 8484 5.1): the smallest ttl, for denials that of the SOA (RFC 2308 5). */
export function smallestTtl(bytes: Uint8Array): number {
  const decoded = decodeMessage(bytes);
  return decoded.ok ? messageTtl(decoded.message) : 0;
}

export function messageTtl(message: Message): number {
  if (message.answers.length > 0) return Math.min(...message.answers.map((record) => record.ttl));
  const soa = message.authorities.find((record) => record.type === 'SOA');
  return soa?.type === 'SOA' ? Math.min(soa.ttl, soa.data.minimum) : 0;
}
