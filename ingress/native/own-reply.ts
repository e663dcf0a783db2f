import type { Fields } from '../http/fields.ts';
import { fieldLines } from '../http/h1-exchange.ts';
import { reasonPhrase } from '../http/status.ts';
import type { Reply } from '../relay/reply.ts';

export interface OwnReplyOptions {
  /** Wall clock, for Date. */
  readonly nowMs: number;
  readonly keepAlive: boolean;
  /** The answer to HEAD. */
  readonly bodyless: boolean;
  /** Does to its fields what policies ask for. */
  readonly shape: (status: number, fields: Fields) => void;
}

/** An answer of our own, as the portable engine sends it (relay/gateway.ts, http/h1-exchange.ts). */
export function ownReply(answer: Reply, { nowMs, keepAlive, bodyless, shape }: OwnReplyOptions): Buffer {
  const { status } = answer;
  const fields = answer.fields.copy();
  const body = Buffer.from(answer.body);
  shape(status, fields);
  fields.set('Date', new Date(nowMs).toUTCString());
  fields.set('Content-Length', String(body.length));
  if (status === 204 || status === 304) fields.remove('content-length');
  const end = keepAlive ? '\r\n' : 'Connection: close\r\n\r\n';
  const head = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${fieldLines(fields)}${end}`;
  return Buffer.concat([Buffer.from(head, 'latin1'), bodyless ? Buffer.alloc(0) : body]);
}
