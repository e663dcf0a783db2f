import { Buffer } from 'node:buffer';
import type { WebSocket } from 'ws';
import type { PodEndpointStream } from '../kinds/pod-streams.ts';
import { CHANNEL, channelMessage, DIAL_CHANNEL } from './channels.ts';
import { bytesOf } from './web-socket.ts';

/** Carries a connection to a pod over the socket until both sides have ended. */
export async function serveDial(
  socket: WebSocket,
  { readable, writable }: PodEndpointStream,
  port: number,
): Promise<void> {
  const portBytes = Buffer.alloc(2);
  portBytes.writeUInt16LE(port);
  for (const channel of Object.values(DIAL_CHANNEL)) socket.send(channelMessage(channel, portBytes));
  socket.on('message', (data) => {
    const message = bytesOf(data);
    if (message[0] === CHANNEL.close) return void writable.end();
    if (message[0] !== DIAL_CHANNEL.data || writable.write(message.subarray(1))) return;
    socket.pause();
    writable.once('drain', () => socket.resume());
  });
  socket.on('error', () => socket.terminate());
  socket.once('close', () => {
    writable.destroy();
    readable.destroy();
  });
  writable.on('error', () => socket.terminate());
  const ended = new Promise((resolve) => writable.once('close', resolve));
  try {
    for await (const chunk of readable) {
      await new Promise<void>((resolve) =>
        socket.send(channelMessage(DIAL_CHANNEL.data, chunk as Uint8Array), () => resolve()),
      );
    }
    socket.send(Buffer.from([CHANNEL.close, DIAL_CHANNEL.data]));
    await ended;
    socket.close(1000);
  } catch {
    socket.terminate(); // the pod broke the connection: so do we
  }
}
