import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { STREAM_MESSAGE_MAX_BYTES } from './limits.ts';

/** A request that asks for another protocol, and the socket it came on. */
export interface Upgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
  /** The node request, which ws wants as it is. */
  readonly raw: unknown;
}

/** Accepts the upgrade with the first supported protocol the client offers; undefined = none, nothing was sent. */
export async function openWebSocket(
  { socket, head, raw }: Upgrade,
  supported: readonly string[],
): Promise<WebSocket | undefined> {
  const request = raw as IncomingMessage;
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
  const chosen = supported.find((protocol) => offered.includes(protocol));
  if (!chosen) return undefined;
  const server = new WebSocketServer({ noServer: true, maxPayload: STREAM_MESSAGE_MAX_BYTES });
  // ws refuses names with a slash (`SPDY/3.1+portforward.k8s.io`): it must not see them, only the client must.
  delete request.headers['sec-websocket-protocol'];
  server.on('headers', (headers) => headers.push(`Sec-WebSocket-Protocol: ${chosen}`));
  return await new Promise((resolve) => server.handleUpgrade(request, socket, head, resolve));
}

export function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
