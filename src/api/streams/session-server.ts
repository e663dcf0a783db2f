import { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import { messageOf } from '../../base/fault.ts';
import type { ExecSession } from '../kinds/pod-streams.ts';
import { CHANNEL, channelMessage, exitStatus, parseSize } from './channels.ts';
import { STREAM_BUFFER_MAX_BYTES } from './limits.ts';
import { bytesOf } from './web-socket.ts';

/** Carries a command's streams over a WebSocket until it has ended or the client is gone, which ends the command. */
export async function serveSession(socket: WebSocket, session: ExecSession): Promise<void> {
  socket.on('message', (data) => receive(socket, session, bytesOf(data)));
  socket.on('close', () => session.kill());
  socket.on('error', () => socket.terminate());
  session.stdin?.on('error', () => undefined);
  const outputs = [pump(socket, CHANNEL.stdout, session.stdout)];
  if (session.stderr) outputs.push(pump(socket, CHANNEL.stderr, session.stderr));
  let status: unknown;
  try {
    const [{ exitCode }] = await Promise.all([session.exit, ...outputs]);
    status = exitStatus(exitCode);
  } catch (error) {
    status = {
      metadata: {},
      status: 'Failure',
      reason: 'InternalError',
      message: messageOf(error),
      code: 500,
    };
  }
  endSession(socket, status);
}

/** The last word on how it went: a meta/v1 Status. */
export function endSession(socket: WebSocket, status: unknown): void {
  if (socket.readyState === socket.OPEN)
    socket.send(channelMessage(CHANNEL.error, Buffer.from(JSON.stringify(status), 'utf8')));
  socket.close(1000);
}

/** Reads no faster than the client takes it. */
async function pump(socket: WebSocket, channel: number, source: Readable): Promise<void> {
  for await (const chunk of source) {
    if (socket.readyState !== socket.OPEN) return;
    const message = channelMessage(channel, chunk as Uint8Array);
    const sent = new Promise<void>((resolve) => socket.send(message, () => resolve()));
    if (socket.bufferedAmount > STREAM_BUFFER_MAX_BYTES) await sent;
  }
}

function receive(socket: WebSocket, session: ExecSession, message: Buffer): void {
  const [channel] = message;
  const payload = message.subarray(1);
  if (channel === CHANNEL.stdin && session.stdin?.writable) {
    if (session.stdin.write(payload)) return;
    socket.pause();
    session.stdin.once('drain', () => socket.resume());
  } else if (channel === CHANNEL.resize) {
    const size = parseSize(payload);
    if (size) session.resize(size.width, size.height);
  } else if (channel === CHANNEL.close && payload[0] === CHANNEL.stdin) {
    session.stdin?.end();
  }
}
