import type { Socket } from 'node:net';
import { FrameReader } from '../../../dns/server/framing.ts';
import type { Message } from '../../../dns/wire/message.ts';
import { decoded } from './server.ts';

/** A connection of a DNS client, plain or over TLS, and what came back on it. */
export class WireStream implements Disposable {
  readonly socket: Socket;
  readonly replies: Message[] = [];
  closed = false;

  constructor(socket: Socket) {
    const frames = new FrameReader();
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Uint8Array) => {
      for (const message of frames.push(chunk)) this.replies.push(decoded(message));
    });
    socket.on('error', () => {});
    socket.on('close', () => (this.closed = true));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
