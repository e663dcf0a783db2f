import { fieldLines } from '../http/h1-exchange.ts';
import { reasonPhrase } from '../http/status.ts';
import { reply } from '../relay/reply.ts';

/** An answer of our own on a connection that closes after it. */
export function ownReply(
  status: number,
  why: string,
  nowMs: number,
  transportSecurity: string | undefined,
): { readonly head: Buffer; readonly body: Buffer } {
  const { fields, body } = reply(status, why);
  if (transportSecurity !== undefined) fields.set('Strict-Transport-Security', transportSecurity);
  fields.set('Date', new Date(nowMs).toUTCString());
  fields.set('Content-Length', String(body.length));
  const head = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${fieldLines(fields)}Connection: close\r\n\r\n`;
  return { head: Buffer.from(head, 'latin1'), body: Buffer.from(body, 'latin1') };
}
