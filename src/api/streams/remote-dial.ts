import { PassThrough } from 'node:stream';
import type { WebSocket } from 'ws';
import { Fault } from '../../base/fault.ts';
import type { PodEndpointStream } from '../kinds/pod-streams.ts';
import { CHANNEL, DIAL_CHANNEL } from './channels.ts';
import { inputOver } from './remote-session.ts';
import { bytesOf } from './web-socket.ts';

/** The client's end of one forwarded port. Takes the socket over; it is closed when both directions ended. */
export function dialOver(socket: WebSocket): PodEndpointStream {
  const readable = new PassThrough();
  const writable = inputOver(socket);
  const begun = new Set<number>();
  socket.on('message', (data) => {
    const message = bytesOf(data);
    const [channel = CHANNEL.close] = message;
    const payload = message.subarray(1);
    if (channel === CHANNEL.close) return void readable.end();
    if (!begun.has(channel)) return void begun.add(channel); // the port
    if (channel === DIAL_CHANNEL.error) readable.destroy(new Fault('POD_DIAL', payload.toString('utf8')));
    if (channel !== DIAL_CHANNEL.data || readable.write(payload)) return;
    socket.pause();
    readable.once('drain', () => socket.resume());
  });
  socket.on('error', () => socket.terminate());
  socket.once('close', () => {
    readable.end();
    writable.destroy();
  });
  readable.once('close', () => {
    if (readable.destroyed && !readable.readableEnded) socket.terminate();
  });
  writable.on('error', () => socket.terminate());
  socket.resume();
  return { readable, writable };
}
