import { Buffer } from 'node:buffer';
import { PassThrough, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { Fault } from '../../base/fault.ts';
import type { ExecSession } from '../kinds/pod-streams.ts';
import { CHANNEL, channelMessage, exitCodeOf } from './channels.ts';
import { bytesOf } from './web-socket.ts';

/** The client's end of exec and attach: a command on another host as streams here. Takes the socket over. */
export function sessionOver(
  socket: WebSocket,
  { stdin, tty }: { readonly stdin: boolean; readonly tty: boolean },
): ExecSession {
  const stdout = new PassThrough();
  const stderr = tty ? undefined : new PassThrough();
  const exit = Promise.withResolvers<{ readonly exitCode: number }>();
  exit.promise.catch(() => undefined); // whoever waits is told; nobody need wait
  const outputs = new Map([
    [CHANNEL.stdout, stdout],
    [CHANNEL.stderr, stderr],
  ] as [number, PassThrough | undefined][]);
  socket.on('message', (data) => {
    const message = bytesOf(data);
    const [channel = CHANNEL.close] = message;
    const payload = message.subarray(1);
    if (channel === CHANNEL.error) settle(exit, exitCodeOf(payload));
    const output = outputs.get(channel);
    if (!output || output.write(payload)) return;
    socket.pause();
    output.once('drain', () => socket.resume());
  });
  socket.on('error', () => socket.terminate());
  socket.once('close', () => {
    for (const output of outputs.values()) output?.end();
    exit.reject(new Fault('KUBELET_UNREACHABLE', 'the connection to the kubelet broke'));
  });
  socket.resume();
  return {
    stdin: stdin ? inputOver(socket) : undefined,
    stdout,
    stderr,
    resize: (Width, Height) =>
      socket.send(channelMessage(CHANNEL.resize, Buffer.from(JSON.stringify({ Width, Height })))),
    exit: exit.promise,
    kill: () => socket.terminate(),
  };
}

/** What is written goes out as messages of channel 0, at the pace the socket takes them; its end is told too. */
export function inputOver(socket: WebSocket): Writable {
  const send = (message: Uint8Array, done: (error?: Error | null) => void): void =>
    socket.send(message, (error) => done(error ?? null));
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => send(channelMessage(CHANNEL.stdin, chunk), done),
    final: (done) => send(Buffer.from([CHANNEL.close, CHANNEL.stdin]), done),
  });
}

function settle(exit: PromiseWithResolvers<{ readonly exitCode: number }>, end: number | string): void {
  if (typeof end === 'number') exit.resolve({ exitCode: end });
  else exit.reject(new Fault('KUBELET_REFUSED', end));
}
