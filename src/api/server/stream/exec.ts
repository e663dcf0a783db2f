import { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import { messageOf } from '../../../base/fault.ts';
import type { ExecSession } from '../../kinds/pod-streams.ts';
import { isObject } from '../../kinds/json-value.ts';
import { STREAM_BUFFER_MAX_BYTES } from '../limits.ts';
import { badRequest } from '../status.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import { parseBoolean } from '../verbs/list-options.ts';
import { containerOf, requireStreams, streamError, type StreamsSource } from './target.ts';
import { bytesOf, openWebSocket } from './web-socket.ts';

/** First byte of each message of v4/v5.channel.k8s.io. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/** pods/NAME/exec and …/attach over a WebSocket; errors before the upgrade are plain replies. */
export function execHandler(source: StreamsSource, mode: 'exec' | 'attach'): SubresourceHandler {
  return async (call) => {
    const { query, upgrade, headers } = call.request;
    const ref = await containerOf(call);
    const tty = parseBoolean(query, 'tty') ?? false;
    const stdin = parseBoolean(query, 'stdin') ?? false;
    const command = query.getAll('command');
    if (mode === 'exec' && command.length === 0)
      throw badRequest('you must specify at least one command for the container');
    if (!upgrade || headers['upgrade']?.toLowerCase() !== 'websocket')
      throw badRequest('Upgrade request required: WebSocket');
    const streams = requireStreams(source);
    const start =
      mode === 'exec' ? streams.exec(ref, { command, stdin, tty }) : streams.attach(ref, { stdin, tty });
    const session = await start.catch((error: unknown) => Promise.reject(streamError(error)));
    const socket = await openWebSocket(upgrade, PROTOCOLS);
    if (!socket) {
      session.kill();
      throw badRequest(
        `unable to upgrade: none of the offered protocols is supported: ${PROTOCOLS.join(', ')}`,
      );
    }
    void serve(socket, session);
    return undefined;
  };
}

async function serve(socket: WebSocket, session: ExecSession): Promise<void> {
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
  send(socket, CHANNEL.error, Buffer.from(JSON.stringify(status), 'utf8'));
  socket.close(1000);
}

function exitStatus(exitCode: number): unknown {
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

function send(socket: WebSocket, channel: number, payload: Uint8Array): void {
  if (socket.readyState === socket.OPEN) socket.send(Buffer.concat([Buffer.from([channel]), payload]));
}

/** Reads no faster than the client takes it. */
async function pump(socket: WebSocket, channel: number, source: Readable): Promise<void> {
  for await (const chunk of source) {
    if (socket.readyState !== socket.OPEN) return;
    const message = Buffer.concat([Buffer.from([channel]), Buffer.from(chunk as Uint8Array)]);
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

function parseSize(payload: Buffer): { width: number; height: number } | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    if (!isObject(value)) return undefined;
    const { Width: width, Height: height } = value;
    return typeof width === 'number' && typeof height === 'number' ? { width, height } : undefined;
  } catch {
    return undefined;
  }
}
